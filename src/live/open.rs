//! Starting the live task: the offsets to read from, the events that were already emitted, and the state of the table.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::kafka::{KafkaSettings, TopicError, TopicReader};
use crate::lake::{
    EventProgress, Lake, LakeVersion, Location, LogMaintenance, RetryPolicy, SignalsWriter, StoreSettings,
};
use crate::live::emitted::{emitted_ids_beyond, events_emitted_since};
use crate::live::engine::SignalEngine;
use crate::live::error::LiveError;
use crate::live::rules::Rules;
use crate::live::settings::LiveSettings;
use crate::live::sinks::table::EventRecorder;
use crate::live::sinks::topic::{EventTopic, read_delivered};
use crate::live::sinks::webhook::Webhook;
use crate::live::task::{EventSender, LiveTask};
use crate::live::update::{LiveProgress, LiveUpdate};
use crate::live::warm_up::{StartOffsets, warm_up};
use crate::tail::{FollowSettings, TailFollower, lake_input, lake_zone};

/// How long the start waits for the brokers.
const BROKER_TIMEOUT: Duration = Duration::from_secs(60);

/// What the live task follows, and the sinks of its events.
pub struct LiveSpec {
    pub location: Location,
    pub store: StoreSettings,
    /// Topic and mapping are the table's.
    pub kafka: KafkaSettings,
    pub settings: LiveSettings,
    /// Events go to the table `signals`, to the topic and to the webhooks; otherwise only subscribers receive them.
    pub records: bool,
    /// Maintenance of the table `signals`.
    pub log_maintenance: Option<LogMaintenance>,
    /// Whether updates hold one-second bars.
    pub keeps_bars: bool,
    pub printer: Option<EventSender>,
    /// Subscribers that display the state. The first update holds all symbols as they are after the warm-up.
    pub updates: broadcast::Sender<Arc<LiveUpdate>>,
    /// A partition that the table doesn't have yet is read from its first offset, as ingest does. Otherwise the start
    /// fails until ingest has committed.
    pub from_earliest: bool,
}

/// Opens the lake, reads back as far as windows need, and begins to follow the topic.
///
/// # Errors
/// A setting can't work, the lake or the brokers can't be read, or the topic is another.
pub async fn open(spec: LiveSpec, stop: &CancellationToken) -> Result<LiveTask, LiveError> {
    let LiveSpec { location, store, mut kafka, settings, records, log_maintenance, .. } = spec;
    settings.validate().map_err(LiveError::Settings)?;
    let rules = Rules::plan(&settings.rules).await?;
    let lake = Lake::open(&location, &store).await?;
    let follow = FollowSettings {
        kafka: {
            kafka.topic = topic_of(&lake, &kafka)?;
            kafka.clone()
        },
        input: lake_input(&lake)?,
        zone: lake_zone(&lake)?,
        patience: BROKER_TIMEOUT,
    };
    kafka.validate().map_err(|error| LiveError::Settings(error.to_string()))?;
    settings.require_own_topic(&kafka.topic).map_err(LiveError::Settings)?;
    let held = held(&kafka).await?;
    // Files and offsets of one and the same version.
    let lake = lake.newest(held.ends.len()).await?;
    lake.identity.require(&held.identity)?;
    let signals = match records {
        true => {
            let retry = RetryPolicy::without_deadline(stop.child_token());
            let signals = SignalsWriter::open_or_create(&location, &store, lake.epoch).await?;
            Some(signals.with_retry_policy(retry).with_log_maintenance(log_maintenance))
        }
        false => None,
    };
    let (starts, base) = starts(&lake, signals.as_ref(), &held, spec.from_earliest).await?;

    let topic_kafka = settings.topic.clone().filter(|_| records).map(|topic| KafkaSettings { topic, ..kafka.clone() });
    let reached = match &signals {
        Some(signals) => signals.event_progress().await?,
        None => EventProgress::default(),
    };
    let knows_topic = topic_kafka.as_ref().is_none_or(|kafka| reached.topic_name.as_ref() == Some(&kafka.topic));
    let topic = match &topic_kafka {
        Some(kafka) => Some(open_topic(kafka, knows_topic.then_some(reached.topic)).await?),
        None => None,
    };
    let (mut webhooks, mut recorder) = (Vec::new(), None);
    if let Some(signals) = signals {
        webhooks = start_webhooks(&settings, &signals, reached.webhooks_since).await?;
        let have = match base.is_empty() {
            true => HashSet::new(),
            false => emitted_ids_beyond(&signals.files()?, lake.epoch, &base).await?,
        };
        recorder = Some(EventRecorder::new(signals, base, have, knows_topic));
    }

    let mut engine = SignalEngine::new(&settings, rules);
    if spec.keeps_bars {
        engine = engine.with_bars();
    }
    let begun = std::time::Instant::now();
    let rows = warm_up(&mut engine, &lake.ticks, &starts).await?;
    tracing::info!(rows, symbols = engine.states().len(), ms = begun.elapsed().as_millis() as u64, "warmed up");
    let follower =
        TailFollower::start(follow, starts.read.iter().map(|(&partition, &next)| (partition, next)).collect());
    let follower = follower.await?;
    lake.identity.require(follower.identity())?;
    Ok(LiveTask {
        engine,
        follower,
        next: starts.read.clone(),
        starts,
        recorder,
        topic,
        topic_name: settings.topic.unwrap_or_default(),
        webhooks,
        printer: spec.printer,
        updates: spec.updates,
        commit_interval: settings.commit_interval,
        progress: LiveProgress::default(),
        unpublished_events: Vec::new(),
    })
}

/// Starts the webhooks; they first get the events that were emitted since the time up to which all were delivered.
async fn start_webhooks(
    settings: &LiveSettings,
    signals: &SignalsWriter,
    delivered_until: Option<i64>,
) -> Result<Vec<Webhook>, LiveError> {
    let start = |webhook| Webhook::start(webhook, signals.own_store()).map_err(LiveError::Settings);
    let mut webhooks = settings.webhooks.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    if let Some(since) = delivered_until.filter(|_| !webhooks.is_empty()) {
        let events = events_emitted_since(&signals.files()?, since).await?;
        webhooks.iter_mut().for_each(|webhook| webhook.send(&events));
    }
    Ok(webhooks)
}

/// The topic of the table. Another configured topic is refused, because it would decode to other rows.
fn topic_of(lake: &Lake, kafka: &KafkaSettings) -> Result<String, LiveError> {
    let of_table = lake.topic().unwrap_or_default();
    if !kafka.topic.is_empty() && kafka.topic != of_table {
        let problem = format!("kafka.topic is '{}', the table holds '{of_table}': leave --topic out", kafka.topic);
        return Err(LiveError::Settings(problem));
    }
    Ok(of_table.to_owned())
}

/// The identity of the topic and the offsets that Kafka holds.
struct TopicOffsets {
    identity: crate::market::TopicIdentity,
    /// The first offset of each partition, and the one after its last.
    ends: BTreeMap<i32, (i64, i64)>,
}

async fn held(kafka: &KafkaSettings) -> Result<TopicOffsets, LiveError> {
    let kafka = kafka.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<TopicOffsets, TopicError> {
        let reader = TopicReader::open(&kafka, BROKER_TIMEOUT)?;
        let ends = reader.partitions().iter().map(|at| (at.partition, (at.low, at.high))).collect();
        Ok(TopicOffsets { identity: reader.identity().clone(), ends })
    });
    Ok(opened.await.map_err(|error| LiveError::Internal(error.to_string()))??)
}

/// Reading starts at the offset up to which events were emitted, or at the end of the table if none ever were. It never
/// starts beyond the end of the table, so that no tick is skipped. Also returns the next offset of each partition in
/// `signals`.
async fn starts(
    lake: &LakeVersion,
    signals: Option<&SignalsWriter>,
    held: &TopicOffsets,
    from_earliest: bool,
) -> Result<(StartOffsets, BTreeMap<i32, i64>), LiveError> {
    let mut starts = StartOffsets { epoch: lake.epoch, ..StartOffsets::default() };
    let mut base = BTreeMap::new();
    for &partition in held.ends.keys() {
        if let Some(signals) = signals {
            base.extend(signals.next_offset(partition).await?.map(|emitted_until| (partition, emitted_until)));
        }
    }
    for (&partition, &(low, high)) in &held.ends {
        let in_table = lake.next.get(&partition).copied();
        let emitted_until = base.get(&partition).copied();
        let Some(end) = in_table else {
            // The table has no rows of this partition yet.
            if high > 0 && !from_earliest {
                return Err(LiveError::NotYet { partition });
            }
            starts.read.insert(partition, low);
            starts.emitted_until.insert(partition, emitted_until.unwrap_or(low));
            continue;
        };
        if low > end {
            return Err(LiveError::Gap { partition, low, next: end });
        }
        // Events of a partition that was added after the first start are emitted from its beginning.
        let emitted_until = emitted_until.unwrap_or(if base.is_empty() { end } else { 0 });
        starts.emitted_until.insert(partition, emitted_until);
        // Ticks that Kafka no longer holds are in the table.
        starts.read.insert(partition, emitted_until.min(end).max(low));
    }
    Ok((starts, base))
}

/// `from` has the ends of the topic at the newest commit, or is `None` if no commit has them.
async fn open_topic(kafka: &KafkaSettings, from: Option<BTreeMap<i32, i64>>) -> Result<EventTopic, LiveError> {
    let failed = |problem: String| LiveError::EventTopic { topic: kafka.topic.clone(), problem };
    let asked = kafka.clone();
    let found = tokio::task::spawn_blocking(move || read_delivered(&asked, from.as_ref())).await;
    let found = found.map_err(|error| LiveError::Internal(error.to_string()))??;
    EventTopic::start(kafka, found).map_err(failed)
}
