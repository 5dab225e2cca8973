//! `tickhouse produce`: sends messages, shows the progress on a terminal, and prints how many messages were
//! acknowledged.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, ProduceArgs, ProduceCommand, ReplayArgs, SendArgs, SimulateArgs};
use crate::cli::commands::print::{report as say, write_stderr};
use crate::cli::settings::{Settings, SettingsError};
use crate::decode::{FieldSource, InputSettings, Preset};
use crate::kafka::{KafkaSettings, TopicError, ensure_topic, topic_info};
use crate::lake::{Lake, LakeError, RetryPolicy};
use crate::produce::replay::{ReplayError, ReplayFeed};
use crate::produce::simulate::{AnomalyCounts, SimulateSettings, SimulatedFeed, SimulationClock};
use crate::produce::wire::MessageEncoder;
use crate::produce::{
    Feed, Pace, ReplayPosition, ResumeError, ResumeSettings, SendError, SendProgress, SendReport, SendSettings,
    send_feed,
};
use crate::tail::lake_input;

/// Event time between two ticks if no rate is set.
const FLAT_OUT_INTERVAL: Duration = Duration::from_millis(1);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command.
///
/// # Errors
/// The topic can't be reached, a file can't be read, or messages were not acknowledged.
pub async fn run(global: &GlobalArgs, args: &ProduceArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    match &args.command {
        ProduceCommand::Simulate(args) => simulate(global, args, stop).await,
        ProduceCommand::Replay(args) => replay(global, args, stop).await,
    }
}

async fn simulate(global: &GlobalArgs, args: &SimulateArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let encoder = encoder(&args.send, input(global, &args.send).await?.as_ref())?;
    let (pace, interval) = if args.rate > 0.0 {
        (Pace::Rate(args.rate), Duration::try_from_secs_f64(1.0 / args.rate).context("use --rate")?)
    } else {
        (Pace::FlatOut, FLAT_OUT_INTERVAL)
    };
    let settings = SimulateSettings {
        symbols: args.symbols,
        seed: args.seed,
        clock: args.start.map_or(SimulationClock::Wall, SimulationClock::From),
        interval: args.interval.unwrap_or(interval),
        anomalies: args.anomalies,
        ..SimulateSettings::default()
    };
    let feed = SimulatedFeed::new(&settings, encoder);
    let (feed, report) = send(global, &args.send, pace, None, feed, stop).await?;
    finish(report, (args.anomalies > 0.0).then(|| feed.anomalies()), None)
}

async fn replay(global: &GlobalArgs, args: &ReplayArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let input = input(global, &args.send).await?;
    let encoder = encoder(&args.send, input.as_ref())?;
    if let (None, Some(input)) = (args.send.message_format, &input) {
        unwritten(input).iter().for_each(|line| write_stderr(line));
    }
    let usage = |error: ReplayError| SettingsError::Value(error.to_string());
    let settings = args.settings(input).map_err(SettingsError::Value)?;
    let feed = ReplayFeed::open(settings, encoder).map_err(usage)?.reporting(write_stderr);
    if (args.pace != Pace::FlatOut || args.send.event_timestamps) && !feed.has_times() {
        let problem = "--pace and --event-timestamps need the event time of lines; set --message-time POINTER";
        return Err(SettingsError::Value(problem.to_owned()).into());
    }
    let resume = args.resume.clone();
    let resume = resume.map(|name| ResumeSettings { name, input: feed.input_names(), report: write_stderr });
    let (_, report) = send(global, &args.send, args.pace, resume, feed, stop).await?;
    match (&args.resume, report.position) {
        (Some(name), Some(position)) => finish_resumable(report, name, position),
        _ => {
            let way = way_on(&report);
            finish(report, None, way)
        }
    }
}

/// A replay that ended early, and how to continue.
#[derive(Debug, thiserror::Error)]
#[error("{stop}\n{way}")]
struct ReplayStop {
    stop: SendError,
    way: String,
}

/// How to continue after an invalid row. All messages before it were flushed, so their number is exact.
fn way_on(report: &SendReport) -> Option<String> {
    let delivered = &report.delivered;
    let is_exact = matches!(report.failure, Some(SendError::Feed(_))) && delivered.queued == delivered.acknowledged;
    is_exact.then(|| match delivered.acknowledged {
        0 => "nothing of the input is in the topic: correct it and run the same command again".to_owned(),
        sent => format!(
            "the first {sent} messages of the input are in the topic, and nothing behind them: leave them out of the \
             next run; a replay that is begun with --resume NAME goes on by itself"
        ),
    })
}

/// The input settings that will decode the messages: those of the configuration, or else those of the target lake, if
/// it exists.
async fn input(global: &GlobalArgs, args: &SendArgs) -> anyhow::Result<Option<InputSettings>> {
    let resolved = Settings::resolve(global.config.as_deref(), |layers| {
        args.kafka.apply(layers);
        args.table.apply(layers);
    })?;
    let settings = &resolved.settings;
    if resolved.has_input() {
        settings.input.validate().map_err(SettingsError::from)?;
        return Ok(Some(settings.input.clone()));
    }
    if !resolved.is_set("table") {
        return Ok(None);
    }
    let lake = match Lake::open(&settings.location()?, &settings.store).await {
        Ok(lake) => lake,
        // The lake doesn't exist yet; ingest will create it.
        Err(LakeError::NoTable { .. }) => return Ok(None),
        Err(error) => return Err(error).context("read the lake's mapping; --message-format PRESET does without"),
    };
    if lake.topic() != Some(settings.kafka.topic.as_str()) {
        return Ok(None);
    }
    Ok(Some(lake_input(&lake)?))
}

fn encoder(args: &SendArgs, input: Option<&InputSettings>) -> Result<MessageEncoder, SettingsError> {
    let encoder = match (args.message_format, input) {
        (Some(preset), _) => MessageEncoder::new(preset, args.zone),
        (None, Some(input)) => {
            if matches!(input.ts, Some(FieldSource::KafkaTimestamp)) && !args.event_timestamps {
                let problem = "event times are read from Kafka timestamps (input.ts): add --event-timestamps";
                return Err(SettingsError::Value(problem.to_owned()));
            }
            MessageEncoder::of_input(input, args.zone)
        }
        (None, None) => MessageEncoder::new(Preset::Canonical, args.zone),
    };
    encoder.map_err(|error| SettingsError::Value(error.to_string()))
}

/// Warnings about fields that `[input]` reads but that replayed ticks don't have.
fn unwritten(input: &InputSettings) -> Vec<String> {
    let unwritten =
        input.optional_sources().filter(|(name, source)| !source.starts_with('/') || input.columns.contains_key(*name));
    unwritten.map(|(name, source)| format!("warning: {name} ({source}) is not written and will be NULL\n")).collect()
}

async fn send<F: Feed + Send + 'static>(
    global: &GlobalArgs,
    args: &SendArgs,
    pace: Pace,
    resume: Option<ResumeSettings>,
    feed: F,
    stop: CancellationToken,
) -> anyhow::Result<(F, SendReport)> {
    let resolved = Settings::resolve(global.config.as_deref(), |layers| {
        args.kafka.apply(layers);
        args.table.apply(layers);
    })?;
    let settings = resolved.settings;
    let kafka = settings.kafka;
    kafka.validate().map_err(SettingsError::from)?;
    kafka.warn_of_plaintext();
    let (partitions, replication, asked) = (args.partitions, args.replication, kafka.clone());
    let topic = tokio::task::spawn_blocking(move || find_topic(&asked, partitions, replication));
    tokio::select! {
        biased;
        () = stop.cancelled() => bail!("stopped before anything was sent; run it again"),
        topic = topic => topic??,
    }
    let sending = SendSettings {
        pace,
        count: args.count,
        duration: args.duration,
        event_timestamps: args.event_timestamps,
        resume,
        ..SendSettings::default()
    };
    let progress = Arc::new(SendProgress::default());
    let bar = progress_bar(args.count);
    let sent = send_feed(feed, sending, kafka, Arc::clone(&progress), stop);
    tokio::pin!(sent);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let result = loop {
        tokio::select! {
            result = &mut sent => break result,
            _ = ticks.tick() => bar.set_position(progress.acknowledged.load(Ordering::Relaxed)),
        }
    };
    bar.finish_and_clear();
    Ok(result?)
}

fn find_topic(kafka: &KafkaSettings, partitions: Option<i32>, replication: Option<i32>) -> anyhow::Result<()> {
    let Some(partitions) = partitions else {
        return match topic_info(kafka, RetryPolicy::ONE_SHOT) {
            Err(error @ TopicError::NoTopic { .. }) => {
                Err(anyhow!(error).context("--partitions COUNT creates a topic that is missing"))
            }
            found => Ok(found.map(drop).map_err(TopicError::of_writer)?),
        };
    };
    let info = ensure_topic(kafka, partitions, replication, RetryPolicy::ONE_SHOT)?;
    if info.partitions != usize::try_from(partitions)? {
        tracing::warn!(topic = kafka.topic, partitions = info.partitions, "the topic exists and keeps its partitions");
    }
    Ok(())
}

/// The progress bar, which is hidden if standard error is not a terminal.
fn progress_bar(count: Option<u64>) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(count, target);
    let template = match count {
        Some(_) => "{bar:30} {human_pos}/{human_len} acknowledged, {per_sec}, {eta} left",
        None => "{spinner} {human_pos} acknowledged, {per_sec}, {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Prints the summary on standard output, and then returns the error if there is one.
fn finish(report: SendReport, anomalies: Option<AnomalyCounts>, way: Option<String>) -> anyhow::Result<ExitCode> {
    say(&format!("{}\n", ending(&report, anomalies)))?;
    if let Some(stop) = report.failure {
        return Err(match way {
            Some(way) => ReplayStop { stop, way }.into(),
            None => stop.into(),
        });
    }
    let delivered = report.delivered;
    match delivered.queued - delivered.acknowledged {
        0 => Ok(ExitCode::SUCCESS),
        missing => {
            let why = delivered.first_error.as_deref().unwrap_or("no answer before the time to leave");
            Err(anyhow!("deliver messages: {missing} of {} were not acknowledged: {why}", delivered.queued))
        }
    }
}

/// Like [`finish`], but also prints the position of the replay.
fn finish_resumable(report: SendReport, name: &str, position: ReplayPosition) -> anyhow::Result<ExitCode> {
    let ReplayPosition { before, committed, uncertain } = position;
    let sent = ending(&report, None);
    let Some(stop) = report.failure else {
        let text = match (report.is_at_end, report.delivered.queued) {
            (true, 0) if before > 0 => {
                format!("replay '{name}' is complete: its {committed} messages are in the topic, and nothing was sent")
            }
            (true, _) => format!("{sent}; replay '{name}' is complete with {committed} messages"),
            (false, _) => {
                format!(
                    "{sent}; {committed} messages of replay '{name}' are in the topic, and the same command goes on"
                )
            }
        };
        say(&format!("{text}\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    use ResumeError::{ForeignPosition, OtherMessages, ShorterInput, TakenOver};
    match stop {
        SendError::Resume(refusal @ (ForeignPosition { .. } | OtherMessages { .. } | ShorterInput { .. })) => {
            return Err(SettingsError::Value(refusal.to_string()).into());
        }
        SendError::Resume(taken @ TakenOver { .. }) => return Err(taken.into()),
        _ => {}
    }
    say(&format!("{sent}\n"))?;
    let or_more = match uncertain {
        0 => String::new(),
        more => format!(", or {more} more: the brokers didn't answer the last commit"),
    };
    let way = format!(
        "{committed} messages of replay '{name}' are in the topic{or_more}; correct the cause and run the same \
         command again, which goes on behind them"
    );
    Err(ReplayStop { stop, way }.into())
}

fn ending(report: &SendReport, anomalies: Option<AnomalyCounts>) -> String {
    let delivered = &report.delivered;
    let seconds = report.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { delivered.acknowledged as f64 / seconds } else { 0.0 };
    let mut text = format!(
        "acknowledged {} of {} messages in {seconds:.3} s, {rate:.0} a second",
        delivered.acknowledged, delivered.queued
    );
    if let Some(AnomalyCounts { price_spikes, volume_bursts }) = anomalies {
        text.push_str(&format!("; {price_spikes} price spikes, {volume_bursts} volume bursts"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::DeliveryCounts;

    #[test]
    fn what_is_not_written_is_named() {
        let mapping = r#"{"symbol":"/s","ts":"/t","close":"/p","source":"header:venue","trade_id":"/id",
            "columns":{"bid":{"path":"/b","type":"double"}}}"#;
        let input: InputSettings = serde_json::from_str(mapping).unwrap();
        assert_eq!(
            unwritten(&input),
            [
                "warning: source (header:venue) is not written and will be NULL\n",
                "warning: bid (/b) is not written and will be NULL\n",
            ]
        );
    }

    #[test]
    fn the_ending_counts() {
        let delivered = DeliveryCounts { queued: 10, acknowledged: 8, failed: 2, first_error: Some("gone".to_owned()) };
        let elapsed = Duration::from_secs(2);
        let report = SendReport { delivered, elapsed, failure: None, is_at_end: false, position: None };
        assert_eq!(ending(&report, None), "acknowledged 8 of 10 messages in 2.000 s, 4 a second");
        let anomalies = AnomalyCounts { price_spikes: 1, volume_bursts: 3 };
        assert!(ending(&report, Some(anomalies)).ends_with("; 1 price spikes, 3 volume bursts"));
        let error = finish(report, None, None).unwrap_err().to_string();
        assert!(error.contains("2 of 10 were not acknowledged: gone"), "{error}");
    }
}
