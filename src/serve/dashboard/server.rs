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

/// Ports that are tried after the default one.
const MORE_PORTS: u16 = 20;
/// Open at a time; each tab holds one, and a few more while it asks.
const MOST_CONNECTIONS: usize = 512;

/// A server that has its port and answers once it runs.
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
    /// `live` receives the updates of the live task; without it the page shows only the table, and says so.
    ///
    /// # Errors
    /// The settings are refused, or the port is taken.
    pub async fn bind(
        settings: &DashboardSettings,
        spec: SourceSpec,
        live: Option<broadcast::Receiver<Arc<LiveUpdate>>>,
        pipeline: Option<watch::Receiver<PipelineView>>,
    ) -> Result<Self, DashboardError> {
        Self::bind_within(settings, spec, live, pipeline, Limits::default()).await
    }

    /// As [`Self::bind`], with other limits.
    ///
    /// # Errors
    /// As [`Self::bind`].
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

    /// Answers these too, behind the same guard.
    #[must_use]
    pub fn with(mut self, routes: Router) -> Self {
        let guarded = middleware::from_fn_with_state(Arc::clone(&self.guard), guard);
        self.routes = self.routes.merge(routes.layer(guarded));
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser of this machine.
    pub fn url(&self) -> String {
        match self.address {
            address if address.ip().is_unspecified() => format!("http://localhost:{}/", address.port()),
            address => format!("http://{address}/"),
        }
    }

    /// Whether the token has to be given once, as `?token=..` behind the URL.
    pub fn has_token(&self) -> bool {
        self.has_token
    }

    /// Whether the default port was taken.
    pub fn has_moved(&self, settings: &DashboardSettings) -> bool {
        settings.listen.is_none() && self.address != DEFAULT_LISTEN
    }

    /// Answers until `stop`; then streams end, and what is being answered has a moment.
    ///
    /// # Errors
    /// A task ended on its own.
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

/// Host names of the page, in addition to those of the loopback.
fn hosts(settings: &DashboardSettings, address: SocketAddr) -> Hosts {
    let mut hosts = settings.allow_host.clone();
    // The host name of another site is never an IP address.
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
