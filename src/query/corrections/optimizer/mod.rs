//! Rules among DataFusion's that optimize the logical plan.

pub(in crate::query::corrections) mod equal_windows;
pub(in crate::query::corrections) mod functional_dependencies;
pub(in crate::query::corrections) mod global_aggregate_filters;
pub(in crate::query::corrections) mod null_not_in;
