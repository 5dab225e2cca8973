//! The tables of `query --live`: the newest version, and the ticks in Kafka that are not in it yet.

use std::sync::Arc;

use crate::cli::args::QueryArgs;
use crate::cli::settings::{Settings, SettingsError};
use crate::kafka::KafkaSettings;
use crate::lake::{Lake, RetryPolicy};
use crate::query::{QueryError, QuerySession, UnionSessions};
use crate::tail::{TableUnion, UnionSettings, UnionView};

pub(in crate::cli::commands) struct LiveTables {
    union: TableUnion,
    sessions: UnionSessions,
    view: Arc<UnionView>,
    /// The last error that was reported.
    reported: Option<String>,
}

impl LiveTables {
    /// Reads Kafka up to the current end of each partition.
    ///
    /// # Errors
    /// No brokers are configured, they can't be reached or have another topic, or the ticks in Kafka don't fit into
    /// memory.
    pub(in crate::cli::commands) async fn open(
        lake: Lake,
        settings: &Settings,
        args: &QueryArgs,
        memory: usize,
    ) -> anyhow::Result<Self> {
        let kafka = brokers_of(&lake, &settings.kafka)?;
        kafka.warn_of_plaintext();
        let settings = UnionSettings {
            tail_bytes: usize::try_from(args.tail_memory).unwrap_or(usize::MAX),
            patience: RetryPolicy::ONE_SHOT,
            ..UnionSettings::of(Some(kafka))
        };
        let mut union = TableUnion::open(lake, settings).await?;
        let view = match union.caught_up().await {
            Ok(view) => view,
            Err(error) => {
                union.stop().await;
                return Err(error.into());
            }
        };
        Ok(Self { union, sessions: UnionSessions::new(memory)?, view, reported: None })
    }

    /// Switches to the newest view. If an error keeps the view from being up to date, it is returned once.
    pub(in crate::cli::commands) fn newest(&mut self) -> Option<String> {
        self.view = self.union.view();
        let trouble = self.view.stale_reason.clone();
        let is_new = trouble != self.reported;
        self.reported.clone_from(&trouble);
        trouble.filter(|_| is_new)
    }

    pub(in crate::cli::commands) fn session(&self) -> Result<QuerySession, QueryError> {
        self.sessions.over(&self.view)
    }

    pub(in crate::cli::commands) fn version(&self) -> u64 {
        self.view.version()
    }

    pub(in crate::cli::commands) fn market_zone(&self) -> Option<&str> {
        self.view.lake.market_zone.as_deref()
    }

    pub(in crate::cli::commands) async fn close(self) {
        self.union.stop().await;
    }
}

/// The settings for reaching the table's topic.
fn brokers_of(lake: &Lake, configured: &KafkaSettings) -> anyhow::Result<KafkaSettings> {
    if configured.brokers.trim().is_empty() {
        let problem = "--live reads what Kafka holds beyond the table: set --brokers host:9092, or kafka.brokers in \
            the configuration";
        return Err(QueryError::Usage(problem.to_owned()).into());
    }
    let Some(topic) = lake.topic() else {
        return Err(QueryError::Usage("--live: the table doesn't say which topic lands in it".to_owned()).into());
    };
    if !configured.topic.is_empty() && configured.topic != topic {
        let problem =
            format!("--live reads the table's own topic, '{topic}', and not '{}': leave out --topic", configured.topic);
        return Err(QueryError::Usage(problem).into());
    }
    let kafka = KafkaSettings { topic: topic.to_owned(), ..configured.clone() };
    kafka.validate().map_err(SettingsError::from)?;
    Ok(kafka)
}
