//! Maintenance in the process of an ingest, on threads of low priority.

pub(in crate::ingest) mod runtime;
pub(in crate::ingest) mod task;
