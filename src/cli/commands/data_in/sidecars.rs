//! The live task and the dashboard, which run in the process of an ingest or by themselves.
//!
//! The ingest depends on neither: live that ends begins again, and the dashboard shows what there is.

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

/// Updates that the dashboard may be behind: some seconds.
const UPDATES: usize = 64;
/// Between two attempts, when live ends.
const AGAIN: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::commands) enum Wanted {
    /// Events go where the settings say.
    Live,
    /// Live values for the page alone.
    Page,
    /// The live task with its sinks, and the page.
    LiveAndPage,
}

/// Everything that can be wrong with the settings, for before anything is made.
///
/// # Errors
/// A setting can't work.
pub(in crate::cli::commands) async fn check(settings: &Settings) -> anyhow::Result<()> {
    settings.live.validate().map_err(SettingsError::Value)?;
    settings.live.require_own_topic(&settings.kafka.topic).map_err(SettingsError::Value)?;
    settings.dashboard.validate()?;
    Rules::plan(&settings.live.rules).await?;
    Ok(())
}

/// The tasks; they end with the token that they were given.
pub(in crate::cli::commands) struct Sidecars {
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Sidecars {
    /// After [`check`]. Takes the port before anything runs; `printer` hears of all events.
    ///
    /// # Errors
    /// The port is taken.
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

    /// Waits for the end of all tasks, which follows the stop.
    ///
    /// # Errors
    /// Of the first that failed.
    pub(in crate::cli::commands) async fn join(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            first = first.and(ended.context("run in the same process").and_then(|ended| ended));
        }
        first
    }
}

/// Turns the status of the ingest into what the page shows.
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

/// Live, begun again when it ends.
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
                // Two live tasks that take turns would send every event to the topic twice.
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
            // Without a page there is no receiver.
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

    /// To the stop.
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
