//! The live task and the dashboard, which run alongside an ingest in the same process, or without one.
//!
//! The ingest depends on neither of them. If the live task ends, it is restarted, and the dashboard shows whatever is
//! available.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::commands::ask::live::spec;
use crate::cli::commands::ask::page::{place, source_of};
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Settings, SettingsError};
use crate::ingest::IngestStatus;
use crate::live::{EventSender, LiveError, LiveProgress, LiveUpdate, Rules, open};
use crate::serve::dashboard::{PipelineView, Server};
use crate::serve::metrics::{View, routes};

/// Capacity of the channel of updates to the dashboard, which is enough for a few seconds.
const UPDATES: usize = 64;
/// Pause before the live task is restarted.
const AGAIN: Duration = Duration::from_secs(10);

/// The tasks to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::commands) enum Wanted {
    /// Only the live task, which emits events to the configured sinks.
    Live,
    /// Only the page, with live values that are not emitted to any sink.
    Page,
    /// The live task with its sinks, and the page.
    LiveAndPage,
}

/// Validates all settings before anything is created.
///
/// # Errors
/// A setting is invalid.
pub(in crate::cli::commands) async fn check(settings: &Settings) -> anyhow::Result<()> {
    settings.live.validate().map_err(SettingsError::Value)?;
    settings.live.require_own_topic(&settings.kafka.topic).map_err(SettingsError::Value)?;
    settings.dashboard.validate()?;
    Rules::plan(&settings.live.rules).await?;
    Ok(())
}

/// The running tasks. They end when their token is cancelled.
pub(in crate::cli::commands) struct Sidecars {
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Sidecars {
    /// Starts the tasks. Call [`check`] before. The port is bound before any task starts; `printer` receives all
    /// events.
    ///
    /// # Errors
    /// The port is in use.
    pub(in crate::cli::commands) async fn start(
        settings: &Settings,
        wanted: Wanted,
        ingest: Option<View>,
        printer: Option<EventSender>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        let updates = broadcast::Sender::new(UPDATES);
        if wanted != Wanted::Live {
            let pipeline = ingest.as_ref().map(|ingest| {
                let (sender, view) = watch::channel(PipelineView::default());
                tasks.spawn(map(ingest.status.clone(), sender, stop.clone()));
                view
            });
            let live = Some(updates.subscribe());
            let mut server = Server::bind(&settings.dashboard, source_of(settings)?, live, pipeline).await?;
            if let Some(ingest) = ingest {
                server = server.with(routes(ingest));
            }
            write_stderr(&place(&server, &settings.dashboard));
            let stop = stop.clone();
            tasks.spawn(async move {
                let ended = server.run(stop).await;
                ended.inspect_err(|error| tracing::error!("the dashboard ended: {error}")).context("run the dashboard")
            });
        }
        let live = Again { settings: settings.clone(), wanted, updates, printer };
        tasks.spawn(live.run(stop.clone()));
        Ok(Self { tasks })
    }

    /// Waits until all tasks have ended, after the token was cancelled.
    ///
    /// # Errors
    /// The error of the first task that failed.
    pub(in crate::cli::commands) async fn join(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            first = first.and(ended.context("run in the same process").and_then(|ended| ended));
        }
        first
    }
}

/// Forwards the status of the ingest to the page.
async fn map(
    mut status: watch::Receiver<IngestStatus>,
    view: watch::Sender<PipelineView>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let now = {
            let IngestStatus { committed, buffered_rows, lag, .. } = &*status.borrow_and_update();
            let ticks = u64::try_from(committed.rows).unwrap_or(0) + *buffered_rows as u64;
            PipelineView { ticks, lag_messages: Some(*lag), trouble: None }
        };
        view.send_replace(now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

/// The live task, which is restarted when it ends.
struct Again {
    settings: Settings,
    wanted: Wanted,
    updates: broadcast::Sender<Arc<LiveUpdate>>,
    printer: Option<EventSender>,
}

impl Again {
    async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let Err(error) = self.once(&stop).await else { return Ok(()) };
            let again = format!("begins again in {} s", AGAIN.as_secs());
            match error {
                LiveError::NotYet { .. } => tracing::info!("live {again}: {error}"),
                // Two live tasks that keep fencing each other would send every event to the topic twice, so this one is
                // not restarted.
                LiveError::Fenced { .. } if self.wanted == Wanted::Live => {
                    tracing::error!("live ended: {error}");
                    return Ok(());
                }
                LiveError::Fenced { .. } => {
                    tracing::error!("live goes on for the page alone: {error}");
                    self.wanted = Wanted::Page;
                }
                _ => tracing::error!("live ended and {again}: {error}"),
            }
            // If there is no page, the channel has no receiver, and the error is ignored.
            let progress =
                LiveProgress { broker_error: Some(format!("live {again}: {error}")), ..LiveProgress::default() };
            let (Ok(_) | Err(_)) = self.updates.send(Arc::new(LiveUpdate { progress, ..LiveUpdate::default() }));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Runs the live task once, until it fails or is stopped.
    async fn once(&self, stop: &CancellationToken) -> Result<(), LiveError> {
        let mut spec = spec(&self.settings).map_err(|error| LiveError::Settings(error.to_string()))?;
        spec.records = self.wanted != Wanted::Page;
        spec.keeps_bars = self.wanted != Wanted::Live;
        spec.printer.clone_from(&self.printer);
        spec.updates = self.updates.clone();
        let live = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            live = open(spec, stop) => live?,
        };
        Box::pin(live.run(stop.clone())).await?;
        Ok(())
    }
}
