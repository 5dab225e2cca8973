//! The server: its port, its tasks and its shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::live::LiveUpdate;
use crate::query::NamedQueries;
use crate::serve::dashboard::api::named::Named;
use crate::serve::dashboard::api::queries::{Limits, Queries};
use crate::serve::dashboard::assets::Assets;
use crate::serve::dashboard::error::DashboardError;
use crate::serve::dashboard::hub::{Broadcaster, hub};
use crate::serve::dashboard::mode::Mode;
use crate::serve::dashboard::pipeline::PipelineView;
use crate::serve::dashboard::routes::{App, routes};
use crate::serve::dashboard::settings::{DEFAULT_LISTEN, DashboardSettings};
use crate::serve::dashboard::source::{LakeWatcher, source};
use crate::serve::dashboard::source_spec::SourceSpec;
use crate::serve::http::{Guard, Hosts, Token, accept, guard, listen_at};

/// Number of ports that are tried after the default one.
const MORE_PORTS: u16 = 20;
/// Maximum number of open connections. Each tab holds one for its stream, and a few more during requests.
const MOST_CONNECTIONS: usize = 512;

/// A server whose port is bound. It responds once [`Self::run`] is called.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    has_token: bool,
    guard: Arc<Guard>,
    routes: Router,
    watcher: LakeWatcher,
    broadcaster: Broadcaster,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

impl Server {
    /// Binds the port. `live` receives the updates of the live task; without it, the page shows only the table, and
    /// says so.
    ///
    /// # Errors
    /// The settings are not allowed, or the port is in use.
    pub async fn bind(
        settings: &DashboardSettings,
        spec: SourceSpec,
        live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
        pipeline: Option<watch::Receiver<PipelineView>>,
    ) -> Result<Self, DashboardError> {
        Self::bind_within(settings, spec, live, pipeline, Limits::default()).await
    }

    /// Like [`Self::bind`], but with other limits.
    ///
    /// # Errors
    /// The same as for [`Self::bind`].
    pub async fn bind_within(
        settings: &DashboardSettings,
        spec: SourceSpec,
        live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
        pipeline: Option<watch::Receiver<PipelineView>>,
        limits: Limits,
    ) -> Result<Self, DashboardError> {
        settings.validate()?;
        let listener = match settings.listen {
            Some(listen) => open(listen.0)?,
            None => listen_near_default()?,
        };
        let address =
            listener.local_addr().map_err(|source| DashboardError::Listen { address: DEFAULT_LISTEN, source })?;
        let named = NamedQueries::load(None).map_err(DashboardError::Catalog)?;
        let named = Named::new(named).map_err(DashboardError::Refused)?;
        let mode = if live.is_some() { Mode::Live } else { Mode::Snapshot };
        let (stopping, place, patience) = (CancellationToken::new(), spec.location.to_string(), limits.patience);
        let (source, watcher) = source(spec);
        let (hub, broadcaster) = hub(source.clone(), live, pipeline, mode, limits.tabs);
        let queries = Queries::new(source.clone(), named, limits);
        let (assets, stop) = (Assets::new(), stopping.clone());
        let app = Arc::new(App { assets, queries, source, hub, mode, place, patience, stop });
        let token = settings.token.as_ref().map(|token| Token::new(token, address.port()));
        let has_token = token.is_some();
        let guard = Arc::new(Guard::new(hosts(settings, address), token, stopping.clone()));
        let routes = routes(app, Arc::clone(&guard));
        Ok(Self { listener, address, has_token, guard, routes, watcher, broadcaster, stopping })
    }

    /// Adds routes that are protected by the same guard.
    #[must_use]
    pub fn with(mut self, routes: Router) -> Self {
        let guarded = middleware::from_fn_with_state(Arc::clone(&self.guard), guard);
        self.routes = self.routes.merge(routes.layer(guarded));
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to open in a browser on this machine.
    pub fn url(&self) -> String {
        match self.address {
            address if address.ip().is_unspecified() => format!("http://localhost:{}/", address.port()),
            address => format!("http://{address}/"),
        }
    }

    /// Whether the token has to be appended to the URL once, as `?token=..`.
    pub fn has_token(&self) -> bool {
        self.has_token
    }

    /// Whether the server listens on another port because the default one was in use.
    pub fn has_moved(&self, settings: &DashboardSettings) -> bool {
        settings.listen.is_none() && self.address != DEFAULT_LISTEN
    }

    /// Serves requests until `stop` is cancelled. Then the streams end, and pending requests have a short time to
    /// finish.
    ///
    /// # Errors
    /// A task ended unexpectedly.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DashboardError> {
        let Self { listener, routes, watcher, broadcaster, stopping, .. } = self;
        let _stop_all = stopping.clone().drop_guard();
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher.run(stopping.clone()));
        tasks.spawn(broadcaster.run(stopping.clone()));
        tasks.spawn(accept(listener, routes, MOST_CONNECTIONS, stopping.clone()));
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = tasks.join_next() => ended,
        };
        stopping.cancel();
        let ended = ended.map(|ended| ended.err().map_or_else(|| "nobody stopped it".to_owned(), task_error));
        let mut failed = ended;
        while let Some(ended) = tasks.join_next().await {
            failed = failed.or(ended.err().map(task_error));
        }
        failed.map_or(Ok(()), |problem| Err(DashboardError::Task(problem)))
    }
}

fn task_error(error: JoinError) -> String {
    error.to_string()
}

/// Host names under which the page is served, in addition to those of the loopback interface.
fn hosts(settings: &DashboardSettings, address: SocketAddr) -> Hosts {
    let mut hosts = settings.allow_host.clone();
    // Allowing an IP address is safe, because the host name of another site is never an IP address.
    match address {
        SocketAddr::V4(address) if !address.ip().is_unspecified() => hosts.push(address.ip().to_string()),
        SocketAddr::V6(address) if !address.ip().is_unspecified() => hosts.push(format!("[{}]", address.ip())),
        _ => {}
    }
    Hosts::Named { more: hosts, hint: "start the dashboard with --allow-host NAME for each name it is reached by" }
}

fn open(address: SocketAddr) -> Result<TcpListener, DashboardError> {
    listen_at(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => DashboardError::Busy { address },
        _ => DashboardError::Listen { address, source },
    })
}

fn listen_near_default() -> Result<TcpListener, DashboardError> {
    let first = DEFAULT_LISTEN.port();
    for port in first..first + MORE_PORTS {
        match open(SocketAddr::new(DEFAULT_LISTEN.ip(), port)) {
            Err(DashboardError::Busy { .. }) => {}
            other => return other,
        }
    }
    Err(DashboardError::Busy { address: DEFAULT_LISTEN })
}
