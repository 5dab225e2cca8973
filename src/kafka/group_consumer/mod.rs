//! The consumer of a group, on a thread of its own.

pub(in crate::kafka) mod consumer;
#[cfg(test)]
pub(in crate::kafka) mod consumer_tests;
pub(in crate::kafka) mod fetch_size;
pub(in crate::kafka) mod notice;
pub(in crate::kafka) mod worker;
