//! Writes a batch into the lake: Parquet files with statistics, and dead letters.

pub(in crate::ingest) mod dead_letters;
pub(in crate::ingest) mod encode;
pub(in crate::ingest) mod flush;
pub(in crate::ingest) mod gather;
pub(in crate::ingest) mod orphaned_dead_letters;
pub(in crate::ingest) mod statistics;
