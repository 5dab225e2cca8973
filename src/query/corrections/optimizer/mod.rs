//! Rules among DataFusion's that optimize the logical plan.

pub(in crate::query::corrections) mod always_a_row;
pub(in crate::query::corrections) mod dependencies;
pub(in crate::query::corrections) mod equal_windows;
pub(in crate::query::corrections) mod null_not_in;
