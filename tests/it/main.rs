//! Integration tests: the program with real parts, one binary.
//!
//! Kafka is the embedded broker unless `TICKHOUSE_TEST_BROKERS` names real ones. Lakes are temporary folders, and
//! prefixes of `TICKHOUSE_TEST_S3_BUCKET` at `TICKHOUSE_TEST_S3` too when those are set.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test may panic, and its helpers are for its own modules")]

mod clock;
mod commands;
mod counters;
mod dashboard;
mod doctor;
mod groups;
mod help;
mod ingest;
mod layout;
mod live;
mod loss;
mod maintain;
mod metrics;
mod past;
mod poison;
mod produce;
mod prompt;
mod replay;
mod resume;
mod retention;
mod secrets;
mod security;
mod start;
mod streams;
mod support;
mod tidy;
mod transactions;
mod union;
mod verify;
mod zone;
