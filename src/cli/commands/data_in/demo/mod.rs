//! `tickhouse demo`: an embedded broker, a simulated market, ingest and signals in one process.

mod screen;

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::args::DemoArgs;
use crate::cli::commands::data_in::sidecars::{Sidecars, Wanted, check};
use crate::cli::commands::operate::metrics::view;
use crate::cli::settings::{Settings, SettingsError};
use crate::decode::{InputSettings, Preset};
use crate::ingest::{IngestDaemon, IngestSettings, IngestSpec, IngestStatus};
use crate::kafka::{EmbeddedBroker, KafkaSettings};
use crate::lake::{Lake, Location, StoreSettings};
use crate::live::{Event, EventKind};
use crate::produce::simulate::{SimulateSettings, SimulatedFeed, SimulationClock};
use crate::produce::wire::MessageEncoder;
use crate::produce::{Pace, SendProgress, SendSettings, send_feed};
use crate::serve::dashboard::DashboardSettings;
use screen::Screen;

/// The topic of the demo. Only a lake with this topic was created by a demo, and can be resumed.
const TOPIC: &str = "tickhouse-demo";
const PARTITIONS: i32 = 8;
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
const DRAW_INTERVAL: Duration = Duration::from_millis(500);
const EVENTS_SHOWN: usize = 8;
/// Capacity of the queue of displayed events, in batches.
const EVENT_BATCHES: usize = 64;
/// Settings for low latency: the mock cluster responds at once, while the defaults of librdkafka wait for larger
/// batches.
const BROKER_PROPERTIES: [(&str, &str); 2] = [("fetch.wait.max.ms", "20"), ("socket.nagle.disable", "true")];

/// Runs the command.
///
/// # Errors
/// The folder already contains a lake, or one of the tasks fails.
pub(in crate::cli::commands) async fn run(args: &DemoArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let folder = folder(args)?;
    let location = Location::parse(&folder.to_string_lossy()).map_err(SettingsError::from)?;
    let _lock = lock(&location)?;
    let broker = EmbeddedBroker::start(PARTITIONS, TOPIC)?;
    let mut kafka = broker.settings(TOPIC);
    kafka.properties.0.extend(BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if args.resume {
        resume(&location, &kafka).await?;
    }

    let over = stop.child_token();
    let progress = Arc::new(SendProgress::default());
    let simulation = SimulateSettings {
        symbols: args.symbols,
        seed: args.seed,
        clock: SimulationClock::Wall,
        interval: Duration::from_secs_f64(1.0 / args.rate),
        anomalies: 0.0005,
        ..SimulateSettings::default()
    };
    let feed = SimulatedFeed::new(&simulation, MessageEncoder::new(Preset::Canonical, None)?);
    let sending = SendSettings { pace: Pace::Rate(args.rate), duration: args.duration, ..SendSettings::default() };

    let spec = IngestSpec {
        location: location.clone(),
        store: StoreSettings::default(),
        kafka: kafka.clone(),
        input: InputSettings::preset(Preset::Canonical),
        settings: IngestSettings { flush_interval: FLUSH_INTERVAL, ..IngestSettings::default() },
        until_latest: false,
        accept_input_change: false,
    };
    let settings = Settings {
        table: location.to_string(),
        kafka: kafka.clone(),
        dashboard: DashboardSettings { listen: args.listen, ..DashboardSettings::default() },
        ..Settings::default()
    };
    check(&settings).await?;
    let Some(daemon) = IngestDaemon::open(spec, &over).await? else { return Ok(ExitCode::SUCCESS) };
    let status = daemon.status();
    let mut producing = tokio::spawn(send_feed(feed, sending, kafka.clone(), Arc::clone(&progress), over.clone()));
    // The ingest has its own token, because the producer has to stop first, so that the last flush includes all ticks.
    let ingest_stop = CancellationToken::new();
    let ingesting = tokio::spawn(daemon.run(ingest_stop.clone()));
    let mut screen = Screen::new(std::io::stderr().is_terminal());
    screen.greet(&folder, args.rate, args.symbols);
    let (printer, mut events) = mpsc::channel(EVENT_BATCHES);
    let started =
        Sidecars::start(&settings, Wanted::LiveAndPage, Some(view(&settings, status.clone())), Some(printer), &over)
            .await;
    let sent = match &started {
        Ok(_) => show(&mut screen, &mut producing, &progress, &status, &mut events).await,
        // The port is in use, so the tasks that are already running are stopped as usual.
        Err(_) => {
            over.cancel();
            producing.await.context("run the simulation")
        }
    };
    over.cancel();
    drain(status, &progress).await;
    ingest_stop.cancel();
    let committed = ingesting.await;
    started?.join().await?;
    let committed = committed.context("run ingest")??;
    let (_, report) = sent??;
    if let Some(failure) = report.failure {
        return Err(failure).context("send simulated ticks");
    }
    screen.farewell(&folder, &committed);
    drop(broker);
    Ok(ExitCode::SUCCESS)
}

/// The folder of the lake. It must not contain a lake yet, except with `--resume`.
fn folder(args: &DemoArgs) -> anyhow::Result<PathBuf> {
    let Some(folder) = &args.table else {
        let fresh =
            tempfile::Builder::new().prefix("tickhouse-demo-").tempdir().context("make a folder for the lake")?;
        return Ok(fresh.keep());
    };
    let taken = folder.join("ticks").exists();
    if taken && !args.resume {
        let problem =
            format!("table: {} holds a lake already; name another folder or go on with --resume", folder.display());
        return Err(SettingsError::Value(problem).into());
    }
    Ok(folder.clone())
}

/// Locks the folder, because two demos would keep ending each other's epoch. The lock is held until the file is
/// dropped.
fn lock(location: &Location) -> anyhow::Result<File> {
    let Location::Folder(folder) = location else {
        let problem = format!(
            "table: the demo writes to a folder, not to {location}; for a bucket use `tickhouse produce simulate` and \
             `tickhouse ingest`"
        );
        return Err(SettingsError::Value(problem).into());
    };
    if folder.is_file() {
        return Err(SettingsError::Value(format!("table: {location} is a file; name a folder")).into());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("make the folder {location}"))?;
    let file = File::open(folder).with_context(|| format!("open the folder {location}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let problem = format!("table: another demo is running in {location}; stop it or name another folder");
            Err(SettingsError::Value(problem).into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock the folder {location}")),
    }
}

/// Begins a new epoch of the same topic, because the offsets of the embedded broker start at 0 each time.
async fn resume(location: &Location, kafka: &KafkaSettings) -> anyhow::Result<()> {
    let mut lake = Lake::open(location, &StoreSettings::default()).await.context("open the demo's lake")?;
    if lake.topic() != Some(TOPIC) {
        bail!("{location} is no demo's lake: use `tickhouse ingest` on it");
    }
    let kafka = kafka.clone();
    let topic =
        tokio::task::spawn_blocking(move || crate::kafka::topic_info(&kafka, Duration::from_secs(10))).await??;
    lake.begin_epoch(&topic.identity, "demo resumed with a new broker").await?;
    Ok(())
}

/// Redraws the screen until the producer ends, either on its own or because it was stopped.
async fn show<T>(
    screen: &mut Screen,
    producing: &mut JoinHandle<T>,
    progress: &SendProgress,
    status: &watch::Receiver<IngestStatus>,
    events: &mut mpsc::Receiver<Vec<Arc<Event>>>,
) -> anyhow::Result<T> {
    let mut draw = tokio::time::interval(DRAW_INTERVAL);
    let mut newest = VecDeque::new();
    loop {
        tokio::select! {
            ended = &mut *producing => return ended.context("run the simulation"),
            Some(batch) = events.recv() => {
                newest.extend(batch.into_iter().filter(|event| event.kind != EventKind::Signal));
                newest.drain(..newest.len().saturating_sub(EVENTS_SHOWN));
            }
            _ = draw.tick() => screen.draw(progress, &status.borrow(), &newest),
        }
    }
}

/// Waits until the ingest has read all acknowledged messages, for a limited time.
async fn drain(mut status: watch::Receiver<IngestStatus>, progress: &SendProgress) {
    let all = i64::try_from(progress.acknowledged.load(std::sync::atomic::Ordering::Relaxed)).unwrap_or(i64::MAX);
    let taken =
        |status: &IngestStatus| status.committed.stored_offsets + status.committed.dead + status.buffered_rows as i64;
    let waited = tokio::time::timeout(Duration::from_secs(3), status.wait_for(|status| taken(status) >= all)).await;
    if waited.is_err() {
        tracing::debug!("some of the last ticks stay in the broker");
    }
}
