//! tickhouse: a Kafka topic of market ticks becomes a Delta table, exactly once.
//!
//! ```text
//!  feeds ──> kafka::producer ──> Kafka topic
//!                                   │ librdkafka fetch queue (2 MiB of payload)
//!                                   ▼
//!              kafka consumer thread ── decode: borrowed payload -> IngestChunk per partition
//!                                   │ bounded queue (4 events); full = the consumer pauses and keeps polling
//!                                   │ 256 commands and 1,024 emptied columns go back
//!                                   ▼
//!              ingest::event_loop (one task, owns all state) ── batch: rows AND their offset range
//!                                   │ one flush in flight
//!                                   ▼
//!              ingest::flushing: sort, Parquet ──> lake::commit: Adds + txn(next offsets) in one commit
//!                                   │
//!                                   ▼
//!              ROOT/ticks, ROOT/dead_letters (Delta) <── query, Spark, Athena, Trino, DuckDB, ..
//! ```
//!
//! Invariants:
//! - Every offset in `[first, next)` of a partition is in exactly one place: tick rows, a dead letter or a count.
//! - `next` is the Delta `txn` version of the very commit that adds the rows it covers. Delta is the truth;
//!   offsets committed to Kafka serve lag tools only.
//! - Offsets count in one topic: the table keeps its id, and Kafka's is the same when partitions are taken up and
//!   after the last record of a batch was read. Brokers before 2.8 report none.
//! - A verdict depends on the bytes, the Kafka record and the configuration alone, never on the clock.
//! - Every queue is bounded, every task has an owner that joins it.
//!
//! Deliberately absent: deduplication by value (equal ticks at two offsets are two ticks), guessing of the
//! message format, deletion of data files by the ingest path.
//!
//! Rooms in reading order; `docs/architecture.md` says more of each, and what it may import is a table in
//! `tests/it/tidy.rs`.

/// Helpers that know nothing of ticks, tables or topics.
pub mod util;

/// Ticks, symbols, trade dates, offsets and counts: pure.
pub mod market;

/// Rolling kernels of one symbol: pure.
pub mod indicators;

/// Payload bytes become ticks or a verdict.
pub mod decode;

/// Everything that names librdkafka.
pub mod kafka;

/// Everything that names Delta Lake and object stores.
pub mod lake;

/// The loop that commits each record once, and dead letters that become ticks.
pub mod ingest;

/// What Kafka holds beyond a version of the table.
pub mod tail;

/// Everything that runs SQL.
pub mod query;

/// Signals while ticks arrive, and where they go.
pub mod live;

/// Athena, Trino and Glue, and the registration of tables in other engines.
pub mod engines;

/// `verify` and `doctor`.
pub mod check;

/// Where ticks come from: simulation and files.
pub mod produce;

/// The page, metrics and health over HTTP.
pub mod serve;

/// Arguments, settings, logging and commands.
pub mod cli;
