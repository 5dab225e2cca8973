//! Writes: creates tables, appends rows exactly once, replaces files.

pub(in crate::lake) mod append;
pub(in crate::lake) mod create;
pub(in crate::lake) mod handle;
pub(in crate::lake) mod new_file;
pub(in crate::lake) mod offsets;
pub(in crate::lake) mod put;
pub(in crate::lake) mod recommit;
pub(in crate::lake) mod recount;
pub(in crate::lake) mod replace;
pub(in crate::lake) mod replay;
pub(in crate::lake) mod signals;
pub(in crate::lake) mod writing;
