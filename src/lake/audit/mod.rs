//! A table as its log says, read without the kernel, and what is repaired by that.

pub(in crate::lake) mod checkup;
pub(in crate::lake) mod manifest;
pub(in crate::lake) mod repair;
pub(in crate::lake) mod state;
