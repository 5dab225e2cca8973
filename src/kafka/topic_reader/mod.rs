//! Readers of topics outside of any group.

pub(in crate::kafka) mod ends;
pub(in crate::kafka) mod follower;
#[cfg(test)]
pub(in crate::kafka) mod follower_tests;
pub(in crate::kafka) mod reader;
