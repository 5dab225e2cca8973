//! What the page asks of the API: named queries as columns of JSON, cached and bounded.

pub(in crate::serve::dashboard) mod cache;
pub(in crate::serve::dashboard) mod columns;
pub(in crate::serve::dashboard) mod json;
pub(in crate::serve::dashboard) mod named;
pub(in crate::serve::dashboard) mod queries;
pub(in crate::serve::dashboard) mod request;
