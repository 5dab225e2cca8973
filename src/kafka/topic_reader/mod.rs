//! Topics that are read outside of any group.

pub(in crate::kafka) mod ends;
pub(in crate::kafka) mod following;
#[cfg(test)]
pub(in crate::kafka) mod following_tests;
pub(in crate::kafka) mod reader;
