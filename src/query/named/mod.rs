//! The named queries of `sql/`: their headers, how they are asked, and the rows that they read before a range.

pub(in crate::query) mod demand;
pub(in crate::query) mod embedded;
pub(in crate::query) mod expand;
pub(in crate::query) mod header;
pub(in crate::query) mod look_back;
pub(in crate::query) mod request;
pub(in crate::query) mod warm_up;
