//! Decodes records into batches, on the consumer thread and in columns that are reused.

pub(in crate::ingest) mod assemble;
pub(in crate::ingest) mod batch;
pub(in crate::ingest) mod column_pool;
