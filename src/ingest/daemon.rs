//! From settings to a running ingest: topic, lake, group, pipeline, and the maintenance task in the same process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::decode::{Decoder, InputSettings};
use crate::ingest::batching::assemble::Assembler;
use crate::ingest::batching::column_pool::column_pool;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counters::{PipelineCounters, with_heartbeat};
use crate::ingest::event_loop::dead_letter_share::DeadLetterShareRule;
use crate::ingest::event_loop::goal::Goal;
use crate::ingest::event_loop::optional_path_monitor::OptionalPathMonitor;
use crate::ingest::event_loop::pipeline::{Pipeline, PipelineOptions};
use crate::ingest::event_loop::policy::FlushPolicy;
use crate::ingest::event_loop::status::{IngestStatus, MaintenanceStatus};
use crate::ingest::flushing::encode::TickEncoder;
use crate::ingest::maintenance::runtime::MaintenanceRuntime;
use crate::ingest::maintenance::task::{MaintenanceSettings, MaintenanceTask};
use crate::ingest::settings::IngestSettings;
use crate::kafka::{GroupConsumer, KafkaSettings, TopicInfo, topic_info};
use crate::lake::{Lake, LakeError, LakeSpec, Location, RetryPolicy, StoreMetrics, StoreSettings};
use crate::util::throttle::LogThrottle;

/// Contract: a one-shot command retries for 60 s, a daemon without limit.
const ONE_SHOT_TIMEOUT: Duration = RetryPolicy::ONE_SHOT;
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const GROUP_ID_CHARACTERS: usize = 8;

/// The settings of an ingest.
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
pub struct IngestDaemon {
    pub(in crate::ingest) pipeline: Pipeline,
    maintenance_settings: Option<MaintenanceSettings>,
    compaction_behind: Arc<AtomicBool>,
    maintenance_sender: watch::Sender<MaintenanceStatus>,
    pub table_id: String,
    /// The lake was created by this start.
    pub is_new_lake: bool,
    pub group: String,
}

impl IngestDaemon {
    /// Finds the topic, opens or creates the lake and joins the group. Returns `None` if `stop` was cancelled
    /// meanwhile.
    ///
    /// # Errors
    /// A setting is not valid, the topic doesn't exist, or the lake belongs to another topic or can't be written.
    pub async fn open(spec: IngestSpec, stop: &CancellationToken) -> Result<Option<Self>, IngestError> {
        Self::open_with_status(spec, watch::Sender::default(), stop).await
    }

    /// As [`Self::open`]; also publishes the status while it waits for the brokers and the store.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with_status(
        spec: IngestSpec,
        status: watch::Sender<IngestStatus>,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, IngestError> {
        let nothing_yet = StoreMetrics::default();
        let opening = Self::open_inner(spec, status.clone(), stop);
        Box::pin(with_heartbeat(&status, &nothing_yet, opening)).await
    }

    async fn open_inner(
        spec: IngestSpec,
        status: watch::Sender<IngestStatus>,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, IngestError> {
        let IngestSpec { location, store, kafka, input, settings, until_latest, accept_input_change } = spec;
        let zone = settings.validate().map_err(IngestError::Settings)?;
        kafka.validate().map_err(|error| IngestError::Settings(error.to_string()))?;
        let decoder = Decoder::new(&input, zone).map_err(|error| IngestError::Settings(error.to_string()))?;
        kafka.warn_of_plaintext();
        let Some(topic) = find_topic(&kafka, until_latest, stop).await? else { return Ok(None) };
        let reports_topic_id = topic.identity.topic_id.is_some();
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
        let (table_id, is_new_lake) = (lake.table_id().to_owned(), lake.is_new());
        let id: String = table_id.chars().take(GROUP_ID_CHARACTERS).collect();
        let group = kafka.group.clone().unwrap_or_else(|| format!("tickhouse-{id}"));
        let maintenance_settings = maintenance_settings(&settings, &location, &store);
        // A table that was just created has no checkpoint.
        let checkpoint = (lake.version() == 0).then_some(0);
        let (maintenance_sender, maintenance) =
            watch::channel(MaintenanceStatus { checkpoint, ..MaintenanceStatus::default() });
        let counters = PipelineCounters::new(Arc::clone(&lake.retry().metrics), maintenance);
        let mut goal = until_latest.then(|| Goal::new(kafka.clone()));
        if let Some(goal) = &mut goal {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                captured = goal.capture() => captured?,
            }
        }
        let (column_recycler, column_pool) = column_pool();
        let optional = OptionalPathMonitor::new(&input);
        let already_applied = Arc::clone(&counters.already_applied);
        let assembler = Assembler::new(decoder.clone(), column_pool, already_applied, optional.to_survey());
        let consumer = GroupConsumer::start(&kafka, &group, reports_topic_id, assembler).map_err(IngestError::Kafka)?;
        let encoder = TickEncoder::new(lake.epoch(), settings.partition_by, &extras);
        let compaction_behind = Arc::new(AtomicBool::new(false));
        let options = PipelineOptions {
            flush: FlushPolicy::new(&settings),
            start: settings.start,
            on_data_loss: settings.on_data_loss,
            dead_share: DeadLetterShareRule {
                configured: settings.max_dead_share,
                until_latest,
                is_new: lake.file_count() == 0,
            },
            kafka,
            stop_timeout: settings.stop_timeout,
            compaction_behind: Arc::clone(&compaction_behind),
        };
        let mut pipeline = Pipeline::new(options, consumer, lake, decoder, encoder, column_recycler, status, counters);
        pipeline.optional = optional;
        pipeline.goal = goal;
        Ok(Some(Self {
            pipeline,
            maintenance_settings,
            compaction_behind,
            maintenance_sender,
            table_id,
            is_new_lake,
            group,
        }))
    }

    pub fn status(&self) -> watch::Receiver<IngestStatus> {
        self.pipeline.status()
    }

    /// Runs until `stop`, or to the end of the topic; returns the last status.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub async fn run(self, stop: CancellationToken) -> Result<IngestStatus, IngestError> {
        let maintenance_stop = stop.child_token();
        let Self { pipeline, maintenance_settings, compaction_behind, maintenance_sender, .. } = self;
        let start = |maintenance_settings| {
            MaintenanceRuntime::start(
                MaintenanceTask::new(
                    maintenance_settings,
                    compaction_behind,
                    maintenance_sender,
                    maintenance_stop.clone(),
                ),
                pipeline.status(),
            )
        };
        let maintenance_runtime =
            maintenance_settings.map(start).transpose().map_err(IngestError::MaintenanceThreads)?;
        let result = pipeline.run(stop).await;
        maintenance_stop.cancel();
        if let Some(maintenance_runtime) = maintenance_runtime {
            maintenance_runtime.end().await;
        }
        result
    }
}

/// `None` if the ingest maintains nothing.
fn maintenance_settings(
    settings: &IngestSettings,
    location: &Location,
    store: &StoreSettings,
) -> Option<MaintenanceSettings> {
    settings.log_maintenance().map(|log_maintenance| MaintenanceSettings {
        location: location.clone(),
        store: store.clone(),
        maintain: settings.maintain,
        log_maintenance,
        memory: settings.compaction_bytes(),
        batch_rows: settings.flush_rows,
    })
}

async fn find_topic(
    kafka: &KafkaSettings,
    one_shot: bool,
    stop: &CancellationToken,
) -> Result<Option<TopicInfo>, IngestError> {
    let started = Instant::now();
    let mut throttle = LogThrottle::default();
    loop {
        let settings = kafka.clone();
        let answer = tokio::task::spawn_blocking(move || topic_info(&settings, BROKER_TIMEOUT));
        let error = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            answer = answer => match answer? {
                Ok(topic) => {
                    if topic.identity.topic_id.is_none() {
                        tracing::info!(
                            "the brokers report no topic id: a topic that is deleted and created again may go unnoticed"
                        );
                    }
                    return Ok(Some(topic));
                }
                Err(error) => error,
            },
        };
        if !error.is_transient() || (one_shot && (error.is_refusal() || started.elapsed() > ONE_SHOT_TIMEOUT)) {
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
    let mut throttle = LogThrottle::default();
    loop {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            opened = Lake::open_or_create(location, store, spec) => opened,
        };
        let error = match opened {
            Ok(lake) => {
                let retry = match one_shot {
                    true => RetryPolicy { deadline: Some(ONE_SHOT_TIMEOUT), ..RetryPolicy::default() },
                    false => RetryPolicy::without_deadline(CancellationToken::new()),
                };
                return Ok(Some(lake.with_retry_policy(retry)));
            }
            Err(error) if one_shot || !is_store_unreachable(&error) => return Err(error.into()),
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

/// An unreachable store may recover by itself; every other error needs an operator.
fn is_store_unreachable(error: &LakeError) -> bool {
    matches!(error, LakeError::Store { problem: crate::lake::StoreProblem::Unreachable { .. }, .. })
}
