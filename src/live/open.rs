//! Getting ready: where to begin, what was told before, and the state as the table has it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::kafka::{KafkaSettings, TopicError, TopicReader};
use crate::lake::{Lake, LakeVersion, Location, Reached, RetryPolicy, Signals, StoreSettings, Upkeep};
use crate::live::engine::Engine;
use crate::live::error::LiveError;
use crate::live::rules::Rules;
use crate::live::settings::LiveSettings;
use crate::live::sinks::table::Recorder;
use crate::live::sinks::topic::{EventTopic, look};
use crate::live::sinks::webhook::Webhook;
use crate::live::task::{EventSender, Live};
use crate::live::told::{told_beyond, told_since};
use crate::live::update::{Progress, Update};
use crate::live::warm_up::{Starts, warm_up};
use crate::tail::{FollowSettings, TailFollower, lake_input, lake_zone};

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
    /// For those who show what happens; the first update holds all symbols as they are after the warm-up.
    pub updates: broadcast::Sender<Arc<Update>>,
    /// A partition that the table doesn't have yet is read from its first offset, as ingest does; else it is waited for.
    pub from_earliest: bool,
}

/// Opens the lake, reads back as far as windows need, and begins to follow the topic.
///
/// # Errors
/// A setting can't work, the lake or the brokers can't be read, or the topic is another.
pub async fn open(spec: LiveSpec, stop: &CancellationToken) -> Result<Live, LiveError> {
    let LiveSpec { location, store, mut kafka, settings, records, upkeep, .. } = spec;
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
    settings.require_own_topic(&kafka.topic).map_err(LiveError::Settings)?;
    let held = held(&kafka).await?;
    // Files and offsets of one and the same version.
    let lake = lake.newest(held.ends.len()).await?;
    lake.identity.require(&held.identity)?;
    let signals = match records {
        true => {
            let retry = RetryPolicy::for_ever(stop.child_token());
            let signals = Signals::open_or_create(&location, &store, lake.epoch).await?;
            Some(signals.with_retry(retry).with_upkeep(upkeep))
        }
        false => None,
    };
    let (starts, base) = starts(&lake, signals.as_ref(), &held, spec.from_earliest).await?;

    let topic_kafka = settings.topic.clone().filter(|_| records).map(|topic| KafkaSettings { topic, ..kafka.clone() });
    let reached = match &signals {
        Some(signals) => signals.reached().await?,
        None => Reached::default(),
    };
    let knows_topic = topic_kafka.as_ref().is_none_or(|kafka| reached.topic_name.as_ref() == Some(&kafka.topic));
    let topic = match &topic_kafka {
        Some(kafka) => Some(open_topic(kafka, knows_topic.then_some(reached.topic)).await?),
        None => None,
    };
    let mut webhooks = Vec::new();
    let mut recorder = None;
    if let Some(signals) = signals {
        for webhook in &settings.webhooks {
            let started = Webhook::start(webhook, signals.own_store());
            webhooks.push(started.map_err(LiveError::Settings)?);
        }
        if let Some(since) = reached.webhooks_since.filter(|_| !webhooks.is_empty()) {
            let again = told_since(&signals.files()?, since).await?;
            webhooks.iter_mut().for_each(|webhook| webhook.send(&again));
        }
        let have = match base.is_empty() {
            true => HashSet::new(),
            false => told_beyond(&signals.files()?, lake.epoch, &base).await?,
        };
        recorder = Some(Recorder::new(signals, base, have, knows_topic));
    }

    let mut engine = Engine::new(&settings, rules);
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
    Ok(Live {
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
        progress: Progress::default(),
        told: Vec::new(),
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
    /// First offset of each partition, and the one behind its last.
    ends: BTreeMap<i32, (i64, i64)>,
}

async fn held(kafka: &KafkaSettings) -> Result<Held, LiveError> {
    let kafka = kafka.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<Held, TopicError> {
        let reader = TopicReader::open(&kafka, PATIENCE)?;
        let ends = reader.partitions().iter().map(|at| (at.partition, (at.low, at.high))).collect();
        Ok(Held { identity: reader.identity().clone(), ends })
    });
    Ok(opened.await.map_err(|error| LiveError::Internal(error.to_string()))??)
}

/// Reads from what was told last, or from where the table ends if nothing ever was; never beyond the end of the table,
/// so that nothing is left out between the two. Returns also what `signals` has of each partition.
async fn starts(
    lake: &LakeVersion,
    signals: Option<&Signals>,
    held: &Held,
    from_earliest: bool,
) -> Result<(Starts, BTreeMap<i32, i64>), LiveError> {
    let mut starts = Starts { epoch: lake.epoch, ..Starts::default() };
    let mut base = BTreeMap::new();
    for &partition in held.ends.keys() {
        if let Some(signals) = signals {
            base.extend(signals.next_offset(partition).await?.map(|told| (partition, told)));
        }
    }
    for (&partition, &(low, high)) in &held.ends {
        let in_table = lake.next.get(&partition).copied();
        let told = base.get(&partition).copied();
        let Some(end) = in_table else {
            // Nothing of it was ever written: all of it is still to come.
            if high > 0 && !from_earliest {
                return Err(LiveError::NotYet { partition });
            }
            starts.read.insert(partition, low);
            starts.told.insert(partition, told.unwrap_or(low));
            continue;
        };
        if low > end {
            return Err(LiveError::Gap { partition, low, next: end });
        }
        // A partition that came after the first start is told from its beginning.
        let told = told.unwrap_or(if base.is_empty() { end } else { 0 });
        starts.told.insert(partition, told);
        // What Kafka has let go is in the table.
        starts.read.insert(partition, told.min(end).max(low));
    }
    Ok((starts, base))
}

/// `from`: how far it was at the newest commit; `None` if none says.
async fn open_topic(kafka: &KafkaSettings, from: Option<BTreeMap<i32, i64>>) -> Result<EventTopic, LiveError> {
    let failed = |problem: String| LiveError::EventTopic { topic: kafka.topic.clone(), problem };
    let asked = kafka.clone();
    let found = tokio::task::spawn_blocking(move || look(&asked, from.as_ref())).await;
    let found = found.map_err(|error| LiveError::Internal(error.to_string()))??;
    EventTopic::start(kafka, found).map_err(failed)
}
