//! The dashboard over HTTP: history as columns of JSON, live values as an event stream, and the assets of `ui/`.
//!
//! ```text
//!  http: connection (512) ──> guard: host, method, token ──> routes ──> assets
//!                                                        │
//!        /api/q/NAME: asked ──> named ──> cache (64 MiB, equal requests share it) ──> queries (2 a core, 64 wait)
//!                                                        │                                │ view
//!        source: one task, the newest view of the lake (with brokers: plus the newer ticks in Kafka, 256 MiB),
//!        at most a second old <──────────────────────────────────────────────────────────┘
//!                                                        │
//!        /api/stream: tab (queue of 8) <── hub: one task, four broadcasts a second <── broadcast of live updates
//! ```
//!
//! Invariants: only GET and HEAD are allowed, and nothing is written; clients can't send SQL; every response carries
//! the content security policy; no token is logged; every task is joined by [`Server::run`].

mod api;
mod assets;
mod error;
mod hub;
mod live_union;
mod mode;
mod pipeline;
mod routes;
mod server;
mod settings;
mod source;
mod source_spec;

pub use api::queries::Limits;
pub use error::DashboardError;
pub use pipeline::PipelineView;
pub use server::Server;
pub use settings::{DEFAULT_LISTEN, DashboardSettings};
pub use source_spec::SourceSpec;
