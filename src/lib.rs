//! tickhouse: a Kafka topic of market ticks becomes a Delta table, exactly once.
//!
//! ```text
//!  feeds ──> kafka::producer ──> Kafka topic
//!                                   │ librdkafka fetch queue (2 MiB of payload)
//!                                   ▼
//!              kafka::consumer thread ── decode: borrowed payload -> Chunk per partition
//!                                   │ bounded queue (4 events); full = the consumer pauses and keeps polling
//!                                   │ answers (256 commands) and emptied columns (1,024) go back
//!                                   ▼
//!              ingest::pipeline (one task, owns all state) ── batch: rows AND their offset range
//!                                   │ one flush in flight
//!                                   ▼
//!              ingest::encode: sort, Parquet ──> lake::commit: Adds + txn(next offsets) in one commit
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
//!   after the last record of a batch was read. Brokers before 2.8 tell none.
//! - A verdict depends on the bytes, the Kafka record and the configuration alone, never on the clock.
//! - Every queue is bounded, every task has an owner that joins it.
//!
//! Deliberately absent: deduplication by value (equal ticks at two offsets are two ticks), guessing of the
//! message format, deletion of data files by the ingest path.
//!
//! Modules in reading order. Arrows point one way: `main -> commands -> catalog -> engines -> query`,
//! `{feeds, ingest, query, verify} -> {kafka, lake, decode, signals} -> market`, `replay -> {ingest, tail}`; `ingest` and
//! `query` never import each other. `dashboard` and `metrics` stand on `http`; `metrics` reads what `ingest` tells of itself.

pub mod market;

pub mod signals;

pub mod secret;

pub mod units;

pub mod throttle;

pub mod crash;

pub mod priority;

pub mod suggest;

pub mod delimiter;

pub mod decode;

pub mod kafka;

pub mod lake;

pub mod maintain;

pub mod ingest;

pub mod feeds;

pub mod tail;

pub mod replay;

pub mod verify;

pub mod doctor;

pub mod query;

pub mod engines;

pub mod catalog;

pub mod live;

pub mod http;

pub mod metrics;

pub mod dashboard;

pub mod cli;

pub mod settings;

pub mod telemetry;

mod allocator;

pub mod commands;
