//! Getting ready: where to begin, what was told before, and the state as the table has it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::error::LiveError;
use super::recorder::Recorder;
use super::rules::Rules;
use super::settings::LiveSettings;
use super::task::{EventSender, Live, UPDATES};
use super::told::{told_beyond, told_since};
use super::topic::{EventTopic, look};
use super::update::Progress;
use super::warm_up::{Starts, warm_up};
use super::webhook::Webhook;
use crate::kafka::{KafkaSettings, Reader, TopicError};
use crate::lake::{Lake, LakeVersion, Location, RetryPolicy, Signals, StoreSettings, Upkeep};
use crate::tail::{FollowSettings, Follower, lake_input, lake_zone};

/// For the brokers, at the start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is followed and who hears of it.
pub struct LiveSpec {
    pub location: Location,
    pub store: StoreSettings,
    /// Topic and mapping are the table's.
    pub kafka: KafkaSettings,
    pub settings: LiveSettings,
    /// Events go to the table `signals`, to the topic and to the webhooks; else only to who subscribes.
    pub records: bool,
    /// For the table `signals`.
    pub upkeep: Option<Upkeep>,
    /// Updates hold bars of seconds.
    pub keeps_bars: bool,
    pub printer: Option<EventSender>,
}

/// Opens the lake, reads back as far as windows need, and begins to follow the topic.
///
/// # Errors
/// A setting can't work, the lake or the brokers can't be read, or the topic is another.
pub async fn open(spec: LiveSpec, stop: &CancellationToken) -> Result<Live, LiveError> {
    let LiveSpec { location, store, mut kafka, settings, records, upkeep, keeps_bars, printer } = spec;
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
        patience: PATIENCE,
    };
    kafka.validate().map_err(|error| LiveError::Settings(error.to_string()))?;
    let held = held(&kafka).await?;
    // Files and offsets of one and the same version.
    let lake = lake.newest(held.low.len()).await?;
    lake.identity.require(&held.identity)?;
    let signals = match records {
        true => {
            let retry = RetryPolicy::for_ever(stop.child_token());
            let signals = Signals::open_or_create(&location, &store, lake.epoch).await?;
            Some(signals.with_retry(retry).with_upkeep(upkeep))
        }
        false => None,
    };
    let (starts, base) = starts(&lake, signals.as_ref(), &held).await?;

    let topic_kafka = settings.topic.clone().filter(|_| records).map(|topic| KafkaSettings { topic, ..kafka.clone() });
    let topic = match (&topic_kafka, &signals) {
        (Some(kafka), Some(signals)) => Some(open_topic(kafka, signals).await?),
        _ => None,
    };
    let mut webhooks = Vec::new();
    let mut recorder = None;
    if let Some(signals) = signals {
        for webhook in &settings.webhooks {
            let started = Webhook::start(webhook, signals.own_store(), stop.child_token());
            webhooks.push(started.map_err(LiveError::Settings)?);
        }
        if let Some(since) = signals.reached().await?.webhooks_since.filter(|_| !webhooks.is_empty()) {
            let again = told_since(&signals.files()?, since).await?;
            webhooks.iter_mut().for_each(|webhook| webhook.send(&again));
        }
        let have = match base.is_empty() {
            true => HashSet::new(),
            false => told_beyond(&signals.files()?, lake.epoch, &base).await?,
        };
        recorder = Some(Recorder::new(signals, base, have));
    }

    let mut engine = Engine::new(&settings, rules);
    if keeps_bars {
        engine = engine.with_bars();
    }
    let begun = std::time::Instant::now();
    let rows = warm_up(&mut engine, &lake.ticks, &starts).await?;
    tracing::info!(rows, symbols = engine.states().len(), ms = begun.elapsed().as_millis() as u64, "warmed up");
    let follower = Follower::start(follow, starts.read.iter().map(|(&partition, &next)| (partition, next)).collect());
    let follower = follower.await?;
    lake.identity.require(follower.identity())?;
    Ok(Live {
        engine,
        follower,
        next: starts.read.clone(),
        starts,
        recorder,
        topic,
        topic_name: settings.topic.unwrap_or_default(),
        webhooks,
        printer,
        updates: broadcast::Sender::new(UPDATES),
        commit_interval: settings.commit_interval,
        progress: Progress::default(),
        told: Vec::new(),
        number: 0,
    })
}

/// The table's; another one that is configured would decode to other rows.
fn topic_of(lake: &Lake, kafka: &KafkaSettings) -> Result<String, LiveError> {
    let of_table = lake.topic().unwrap_or_default();
    if !kafka.topic.is_empty() && kafka.topic != of_table {
        let problem = format!("kafka.topic is '{}', the table holds '{of_table}': leave --topic out", kafka.topic);
        return Err(LiveError::Settings(problem));
    }
    Ok(of_table.to_owned())
}

/// What Kafka holds of the topic.
struct Held {
    identity: crate::market::TopicIdentity,
    /// First offset of each partition.
    low: BTreeMap<i32, i64>,
}

async fn held(kafka: &KafkaSettings) -> Result<Held, LiveError> {
    let kafka = kafka.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<Held, TopicError> {
        let reader = Reader::open(&kafka, PATIENCE)?;
        let low = reader.partitions().iter().map(|at| (at.partition, at.low)).collect();
        Ok(Held { identity: reader.identity().clone(), low })
    });
    Ok(opened.await.map_err(|error| LiveError::Internal(error.to_string()))??)
}

/// Reads from what was told last, or from where the table ends if nothing ever was; never beyond the end of the table,
/// so that nothing is left out between the two. Returns also what `signals` has of each partition.
async fn starts(
    lake: &LakeVersion,
    signals: Option<&Signals>,
    held: &Held,
) -> Result<(Starts, BTreeMap<i32, i64>), LiveError> {
    let mut starts = Starts { epoch: lake.epoch, ..Starts::default() };
    let mut base = BTreeMap::new();
    for (&partition, &low) in &held.low {
        let in_table = lake.next.get(&partition).copied();
        let told = match signals {
            Some(signals) => signals.next_offset(partition).await?,
            None => None,
        };
        base.extend(told.map(|told| (partition, told)));
        let Some(end) = in_table else {
            // Nothing of it was ever written: all of it is still to come.
            starts.read.insert(partition, low);
            starts.told.insert(partition, told.unwrap_or(low));
            continue;
        };
        if low > end {
            return Err(LiveError::Gap { partition, low, next: end });
        }
        let told = told.unwrap_or(end);
        starts.told.insert(partition, told);
        // What Kafka has let go is in the table.
        starts.read.insert(partition, told.min(end).max(low));
    }
    Ok((starts, base))
}

async fn open_topic(kafka: &KafkaSettings, signals: &Signals) -> Result<EventTopic, LiveError> {
    let failed = |problem: String| LiveError::EventTopic { topic: kafka.topic.clone(), problem };
    let from = signals.reached().await?.topic;
    let asked = kafka.clone();
    let found = tokio::task::spawn_blocking(move || look(&asked, &from)).await;
    let found = found.map_err(|error| LiveError::Internal(error.to_string()))??;
    EventTopic::start(kafka, found).map_err(failed)
}
