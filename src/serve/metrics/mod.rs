//! Health and metrics of an ingest over HTTP: `/livez`, `/readyz`, `/metrics` for Prometheus, and `/status` for people.
//!
//! All values come from the status that the loop publishes. A scrape sends no requests to Kafka or the store.

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
