//! What the process serves over HTTP: the page with its API, and metrics with health checks.

pub mod dashboard;
pub mod http;
pub mod metrics;
