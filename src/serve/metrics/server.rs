//! An HTTP listener for the metrics and the health of an ingest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::routes::routes;
use super::settings::MetricsSettings;
use super::view::View;
use crate::serve::http::{Guard, Hosts, Listen, Problem, Token, accept, guard, listen_at};

/// Maximum number of open connections: probes and a few scrapers.
const MOST_CONNECTIONS: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("listen on {address}: the port is taken: stop who has it, or choose another with --metrics-listen")]
    Busy { address: SocketAddr },
    #[error("listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A server whose port is bound. It responds once [`Self::run`] is called.
pub struct MetricsServer {
    listener: TcpListener,
    pub address: SocketAddr,
    routes: Router,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

impl MetricsServer {
    /// Binds the port. Call [`MetricsSettings::validate`] before. Returns `None` if no address is configured.
    ///
    /// # Errors
    /// The port is in use.
    pub fn bind(settings: &MetricsSettings, view: View) -> Result<Option<Self>, MetricsError> {
        let Some(Listen(asked)) = settings.listen else { return Ok(None) };
        let failed = |source| MetricsError::Listen { address: asked, source };
        let listener = listen_at(asked).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => MetricsError::Busy { address: asked },
            _ => failed(source),
        })?;
        let address = listener.local_addr().map_err(failed)?;
        let stopping = CancellationToken::new();
        let token = settings.token.as_ref().map(|token| Token::new(token, address.port()));
        // Scrapers use the address of a container or the name of a service, so with a token every host name is allowed.
        let hosts = match token {
            Some(_) => Hosts::Any,
            None => {
                Hosts::Named { more: Vec::new(), hint: "for other names than localhost set a token: metrics.token" }
            }
        };
        let guarded = middleware::from_fn_with_state(Arc::new(Guard::new(hosts, token, stopping.clone())), guard);
        let routes = routes(view).fallback(nothing).layer(guarded);
        Ok(Some(Self { listener, address, routes, stopping }))
    }

    /// Serves requests until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, routes, stopping, .. } = self;
        let accepting = accept(listener, routes, MOST_CONNECTIONS, stopping.clone());
        let mut accepting = std::pin::pin!(accepting);
        tokio::select! {
            biased;
            () = stop.cancelled() => stopping.cancel(),
            () = &mut accepting => return,
        }
        accepting.await;
    }
}

async fn nothing() -> impl IntoResponse {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").hint("/livez, /readyz, /metrics, /status")
}
