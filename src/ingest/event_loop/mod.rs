//! The loop that owns partitions, batch and lake, and what it decides by.

pub(in crate::ingest) mod assignment;
pub(in crate::ingest) mod broker_availability;
pub(in crate::ingest) mod counters;
pub(in crate::ingest) mod dead_letter_share;
pub(in crate::ingest) mod goal;
pub(in crate::ingest) mod goal_events;
#[cfg(test)]
pub(in crate::ingest) mod goal_tests;
pub(in crate::ingest) mod histogram;
pub(in crate::ingest) mod initial_offsets;
pub(in crate::ingest) mod optional_path_monitor;
pub(in crate::ingest) mod partitions;
pub(in crate::ingest) mod pipeline;
pub(in crate::ingest) mod policy;
pub(in crate::ingest) mod report;
pub(in crate::ingest) mod status;
pub(in crate::ingest) mod unreached;
