//! The API of the page: it returns named queries as JSON by columns, with a cache and with limits.

pub(in crate::serve::dashboard) mod cache;
pub(in crate::serve::dashboard) mod columns;
pub(in crate::serve::dashboard) mod json;
pub(in crate::serve::dashboard) mod named;
pub(in crate::serve::dashboard) mod queries;
pub(in crate::serve::dashboard) mod request;
