//! The HTTP servers of the process: the dashboard with its API, and the metrics with health checks.

pub mod dashboard;
pub mod http;
pub mod metrics;
