//! Records on their way into a batch: decoded on the consumer's thread, in columns that come back.

pub(in crate::ingest) mod assemble;
pub(in crate::ingest) mod batch;
pub(in crate::ingest) mod column_pool;
