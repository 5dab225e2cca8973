//! The loop that owns partitions, batch and lake, and what it decides by.

pub(in crate::ingest) mod assignment;
pub(in crate::ingest) mod beginning;
pub(in crate::ingest) mod brokers;
pub(in crate::ingest) mod counted;
pub(in crate::ingest) mod dead_share;
pub(in crate::ingest) mod goal;
#[cfg(test)]
pub(in crate::ingest) mod goal_tests;
pub(in crate::ingest) mod goal_turns;
pub(in crate::ingest) mod histogram;
pub(in crate::ingest) mod optional_watch;
pub(in crate::ingest) mod partitions;
pub(in crate::ingest) mod pipeline;
pub(in crate::ingest) mod policy;
pub(in crate::ingest) mod report;
pub(in crate::ingest) mod status;
pub(in crate::ingest) mod unreached;
