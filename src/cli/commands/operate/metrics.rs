//! Starts and stops the HTTP listener for the health and metrics of an ingest.

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Settings, SettingsError};
use crate::ingest::IngestStatus;
use crate::serve::metrics::{MetricsServer, ProcessInfo, View};

/// The data behind the metrics of an ingest with these settings.
pub(in crate::cli::commands) fn view(settings: &Settings, status: watch::Receiver<IngestStatus>) -> View {
    View::new(ProcessInfo::new(settings.table.clone(), settings.kafka.topic.clone(), settings.ingest.memory), status)
}

/// The running server. It is stopped after the ingest, so that the last flush can be observed.
pub(in crate::cli::commands) struct Listening {
    server: Option<JoinHandle<()>>,
    over: CancellationToken,
}

impl Listening {
    /// Binds the port, if one is configured, before the ingest starts.
    ///
    /// # Errors
    /// The settings are not allowed, or the port is in use.
    pub(in crate::cli::commands) fn start(settings: &Settings, view: View) -> anyhow::Result<Self> {
        settings.metrics.validate().map_err(SettingsError::Value)?;
        let over = CancellationToken::new();
        let server = MetricsServer::bind(&settings.metrics, view)?.map(|server| {
            write_stderr(&format!("metrics at http://{}/metrics\n", server.address));
            tokio::spawn(server.run(over.clone()))
        });
        Ok(Self { server, over })
    }

    /// Stops the server.
    ///
    /// # Errors
    /// The server task has panicked.
    pub(in crate::cli::commands) async fn end(self) -> anyhow::Result<()> {
        self.over.cancel();
        match self.server {
            Some(server) => server.await.context("serve metrics"),
            None => Ok(()),
        }
    }
}
