//! The HTTP listener for the health and the metrics of an ingest.

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Settings, SettingsError};
use crate::ingest::IngestStatus;
use crate::serve::metrics::{MetricsServer, ProcessInfo, View};

/// What there is to show of an ingest with these settings.
pub(in crate::cli::commands) fn view(settings: &Settings, status: watch::Receiver<IngestStatus>) -> View {
    View::new(ProcessInfo::new(settings.table.clone(), settings.kafka.topic.clone(), settings.ingest.memory), status)
}

/// A server that outlives the stop: the last flush can be watched.
pub(in crate::cli::commands) struct Listening {
    server: Option<JoinHandle<()>>,
    over: CancellationToken,
}

impl Listening {
    /// Takes the port before anything runs, if one is set.
    ///
    /// # Errors
    /// The settings are refused, or the port is taken.
    pub(in crate::cli::commands) fn start(settings: &Settings, view: View) -> anyhow::Result<Self> {
        settings.metrics.validate().map_err(SettingsError::Value)?;
        let over = CancellationToken::new();
        let server = MetricsServer::bind(&settings.metrics, view)?.map(|server| {
            write_stderr(&format!("metrics at http://{}/metrics\n", server.address));
            tokio::spawn(server.run(over.clone()))
        });
        Ok(Self { server, over })
    }

    /// # Errors
    /// It ended on its own.
    pub(in crate::cli::commands) async fn end(self) -> anyhow::Result<()> {
        self.over.cancel();
        match self.server {
            Some(server) => server.await.context("serve metrics"),
            None => Ok(()),
        }
    }
}
