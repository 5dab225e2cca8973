//! Health and numbers of an ingest over HTTP: `/livez`, `/readyz`, `/metrics` for Prometheus, `/status` for people.
//!
//! Everything is read from the status that the loop publishes: a scrape sends no requests and counts nothing itself.

mod families;
mod health;
mod process;
mod routes;
mod server;
mod settings;
mod status;
mod text;
mod view;

pub use routes::routes;
pub use server::{MetricsError, MetricsServer};
pub use settings::{DEFAULT_LISTEN, MetricsSettings};
pub use view::{ProcessInfo, View};
