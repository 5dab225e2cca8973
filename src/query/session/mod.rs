//! Where statements run: the tables of a lake, registered files, memory, spilling and progress.

pub(in crate::query) mod condition;
pub(in crate::query) mod progress;
pub(in crate::query) mod provider;
pub(in crate::query) mod pruning;
pub(in crate::query) mod query_session;
pub(in crate::query) mod reads;
pub(in crate::query) mod register;
pub(in crate::query) mod spill;
pub(in crate::query) mod tables;
pub(in crate::query) mod too_old;
pub(in crate::query) mod union;
pub(in crate::query) mod unknown;
