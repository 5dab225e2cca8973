//! Reads logs without the kernel, and repairs them.

pub(in crate::lake) mod manifest;
pub(in crate::lake) mod repair;
pub(in crate::lake) mod state;
pub(in crate::lake) mod store_checks;
