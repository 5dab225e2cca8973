//! From settings to a running ingest: topic, lake, group, pipeline, and the maintenance beside it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::decode::{Coercions, Decoder, InputSettings};
use crate::ingest::batching::assemble::Assembler;
use crate::ingest::batching::column_pool::spare_columns;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counted::{Counted, beating};
use crate::ingest::event_loop::dead_share::DeadShareRule;
use crate::ingest::event_loop::goal::Goal;
use crate::ingest::event_loop::optional_watch::OptionalWatch;
use crate::ingest::event_loop::pipeline::{Pipeline, PipelineOptions};
use crate::ingest::event_loop::policy::FlushPolicy;
use crate::ingest::event_loop::status::{MaintenanceStatus, Status, Volume};
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::maintenance::runtime::Beside;
use crate::ingest::maintenance::task::{Caretaker, Looked};
use crate::ingest::settings::IngestSettings;
use crate::kafka::{Consumer, KafkaSettings, TopicInfo, topic_info};
use crate::lake::{Lake, LakeError, LakeSpec, Location, RetryPolicy, StoreMetrics, StoreSettings};
use crate::util::throttle::Throttle;

/// Contract: one-shot commands try for 60 s, the daemon for ever.
const ONE_SHOT: Duration = RetryPolicy::ONE_SHOT;
const ONE_ANSWER: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const GROUP_ID_CHARACTERS: usize = 8;

/// Everything that an ingest is made of.
#[derive(Debug, Clone)]
pub struct IngestSpec {
    pub location: Location,
    pub store: StoreSettings,
    pub kafka: KafkaSettings,
    pub input: InputSettings,
    pub settings: IngestSettings,
    pub until_latest: bool,
    pub accept_input_change: bool,
}

/// An ingest that is ready to run.
pub struct Daemon {
    pub(in crate::ingest) pipeline: Pipeline,
    looked: Option<Looked>,
    behind: Arc<AtomicBool>,
    told: watch::Sender<MaintenanceStatus>,
    pub table_id: String,
    /// There was no lake at the location.
    pub is_new_lake: bool,
    pub group: String,
}

impl Daemon {
    /// Finds the topic, opens or creates the lake and joins the group. `None`: stopped meanwhile.
    ///
    /// # Errors
    /// A setting can't work, the topic doesn't exist, the lake belongs to something else or can't be written.
    pub async fn open(spec: IngestSpec, stop: &CancellationToken) -> Result<Option<Self>, IngestError> {
        Self::open_telling(spec, watch::Sender::default(), stop).await
    }

    /// As [`Self::open`]; tells from the beginning, while brokers and store are waited for, too.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_telling(
        spec: IngestSpec,
        status: watch::Sender<Status>,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, IngestError> {
        let nothing_yet = StoreMetrics::default();
        let opening = Self::open_with(spec, status.clone(), stop);
        Box::pin(beating(&status, &nothing_yet, opening)).await
    }

    async fn open_with(
        spec: IngestSpec,
        status: watch::Sender<Status>,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, IngestError> {
        let IngestSpec { location, store, kafka, input, settings, until_latest, accept_input_change } = spec;
        let zone = settings.validate().map_err(IngestError::Settings)?;
        kafka.validate().map_err(|error| IngestError::Settings(error.to_string()))?;
        let decoder = Decoder::new(&input, zone).map_err(|error| IngestError::Settings(error.to_string()))?;
        kafka.warn_of_plaintext();
        let Some(topic) = find_topic(&kafka, until_latest, stop).await? else { return Ok(None) };
        let tells_topic_id = topic.identity.topic_id.is_some();
        if !tells_topic_id {
            tracing::info!("the brokers tell no topic id: a topic that is deleted and created again may go unnoticed");
        }
        let extras: Vec<_> = input.columns.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect();
        let lake_spec = LakeSpec {
            topic: kafka.topic.clone(),
            identity: topic.identity,
            market_zone: settings.market_zone.clone(),
            partition_by: settings.partition_by,
            input: serde_json::to_string(&input).map_err(|error| IngestError::Settings(error.to_string()))?,
            extras: extras.clone(),
            accept_input_change,
            must_exist: settings.must_exist,
        };
        let Some(lake) = open_lake(&location, &store, &lake_spec, until_latest, stop).await? else { return Ok(None) };
        let retry = match until_latest {
            true => RetryPolicy { deadline: Some(ONE_SHOT), ..RetryPolicy::default() },
            false => RetryPolicy::without_deadline(CancellationToken::new()),
        };
        let lake = lake.with_retry_policy(retry);
        let (table_id, is_new_lake) = (lake.table_id().to_owned(), lake.is_new());
        let id: String = table_id.chars().take(GROUP_ID_CHARACTERS).collect();
        let group = kafka.group.clone().unwrap_or_else(|| format!("tickhouse-{id}"));
        let looked = settings.upkeep().map(|upkeep| Looked {
            location: location.clone(),
            store: store.clone(),
            maintain: settings.maintain,
            upkeep,
            memory: settings.compaction_bytes(),
            batch_rows: settings.flush_rows,
        });
        // A table that begins has no checkpoint.
        let checkpoint = (lake.version() == 0).then_some(0);
        let (told, maintenance) = watch::channel(MaintenanceStatus { checkpoint, ..MaintenanceStatus::default() });
        let counted = Counted {
            read: Volume::default(),
            coercions: Coercions::default(),
            rebalances: 0,
            is_spare: false,
            writing: Volume::default(),
            already_applied: Arc::default(),
            tally: Arc::clone(&lake.retry().metrics),
            maintenance,
        };
        let mut goal = until_latest.then(|| Goal::new(kafka.clone()));
        if let Some(goal) = &mut goal {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                captured = goal.capture() => captured?,
            }
        }
        let (columns_return, spare) = spare_columns();
        let optional = OptionalWatch::new(&input);
        let already_applied = Arc::clone(&counted.already_applied);
        let assembler = Assembler::new(decoder.clone(), spare, already_applied, optional.to_survey());
        let consumer = Consumer::start(&kafka, &group, tells_topic_id, assembler).map_err(IngestError::Kafka)?;
        let encoder = TickEncoder::new(lake.epoch(), settings.partition_by, &extras);
        let behind = Arc::new(AtomicBool::new(false));
        let options = PipelineOptions {
            flush: FlushPolicy::new(&settings),
            start: settings.start,
            on_data_loss: settings.on_data_loss,
            dead_share: DeadShareRule {
                configured: settings.max_dead_share,
                until_latest,
                is_new: lake.file_count() == 0,
            },
            kafka,
            stop_timeout: settings.stop_timeout,
            behind: Arc::clone(&behind),
        };
        let mut pipeline = Pipeline::new(options, consumer, lake, decoder, encoder, columns_return, status, counted);
        pipeline.optional = optional;
        pipeline.goal = goal;
        Ok(Some(Self { pipeline, looked, behind, told, table_id, is_new_lake, group }))
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.pipeline.status()
    }

    /// Runs until `stop`, or to the end of the topic; returns the last status.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub async fn run(self, stop: CancellationToken) -> Result<Status, IngestError> {
        let over = stop.child_token();
        let Self { pipeline, looked, behind, told, .. } = self;
        let start = |looked| Beside::start(Caretaker::new(looked, behind, told, over.clone()), pipeline.status());
        let beside = looked.map(start).transpose().map_err(IngestError::Threads)?;
        let result = pipeline.run(stop).await;
        over.cancel();
        if let Some(beside) = beside {
            beside.end().await;
        }
        result
    }
}

async fn find_topic(
    kafka: &KafkaSettings,
    one_shot: bool,
    stop: &CancellationToken,
) -> Result<Option<TopicInfo>, IngestError> {
    let started = Instant::now();
    let mut throttle = Throttle::default();
    loop {
        let settings = kafka.clone();
        let asked = tokio::task::spawn_blocking(move || topic_info(&settings, ONE_ANSWER));
        let error = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            asked = asked => match asked? {
                Ok(topic) => return Ok(Some(topic)),
                Err(error) => error,
            },
        };
        if !error.is_transient() || (one_shot && (error.is_refusal() || started.elapsed() > ONE_SHOT)) {
            return Err(error.into());
        }
        if throttle.is_due() {
            tracing::warn!("{error}; trying again");
        }
    }
}

async fn open_lake(
    location: &Location,
    store: &StoreSettings,
    spec: &LakeSpec,
    one_shot: bool,
    stop: &CancellationToken,
) -> Result<Option<Lake>, IngestError> {
    let mut throttle = Throttle::default();
    loop {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            opened = Lake::open_or_create(location, store, spec) => opened,
        };
        let error = match opened {
            Ok(lake) => return Ok(Some(lake)),
            Err(error) if one_shot || !is_away(&error) => return Err(error.into()),
            Err(error) => error,
        };
        if throttle.is_due() {
            tracing::warn!("{error}; trying again");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

/// The store may be back later; everything else needs a hand.
fn is_away(error: &LakeError) -> bool {
    matches!(error, LakeError::Store { problem: crate::lake::StoreProblem::Unreachable { .. }, .. })
}
