//! Opens the lake, and queries Kafka for its topic.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::cli::settings::{Settings, SettingsError};
use crate::kafka::{KafkaSettings, PartitionWatermarks, TopicReader};
use crate::lake::{Lake, RetryPolicy};
use crate::market::TopicIdentity;

pub(super) async fn open(settings: &Settings) -> anyhow::Result<Lake> {
    Lake::open(&settings.location()?, &settings.store).await.context("open the lake")
}

/// The identity of the lake's topic in Kafka, and the watermarks of its partitions.
pub(super) async fn ask_kafka(
    mut kafka: KafkaSettings,
    lake: &Lake,
) -> anyhow::Result<(TopicIdentity, BTreeMap<i32, PartitionWatermarks>)> {
    let topic = lake.topic().unwrap_or_default();
    if kafka.topic.is_empty() {
        kafka.topic = topic.to_owned();
    }
    if kafka.topic != topic {
        let problem = format!("topic: the lake holds '{topic}', not '{}'; correct --topic or --table", kafka.topic);
        return Err(SettingsError::Value(problem).into());
    }
    kafka.validate().map_err(SettingsError::from)?;
    tokio::task::spawn_blocking(move || {
        let reader = TopicReader::open(&kafka, RetryPolicy::ONE_SHOT)?;
        Ok((reader.identity().clone(), reader.partitions().iter().map(|at| (at.partition, *at)).collect()))
    })
    .await?
}
