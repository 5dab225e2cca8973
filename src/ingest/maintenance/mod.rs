//! Maintenance in the process of an ingest, in threads that give way to it.

pub(in crate::ingest) mod runtime;
pub(in crate::ingest) mod task;
