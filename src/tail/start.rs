//! Starts a union: creates the store and the follower for a version of the table.

use std::time::Duration;

use super::error::UnionError;
use super::follower::{FollowSettings, TailFollower};
use super::mapping::mapping_of;
use super::rows::TailRowBuilder;
use super::store::TailStore;
use crate::kafka::{KafkaSettings, PartitionWatermarks};
use crate::lake::LakeVersion;

pub(super) fn store_of(version: &LakeVersion) -> Result<TailStore, UnionError> {
    let (input, _) = mapping_of(version)?;
    let extras = input.columns.keys().cloned().collect();
    Ok(TailStore::new(TailRowBuilder::new(&version.ticks, version.epoch, extras))?)
}

/// Returns true if the version's next offset was looked up for every partition.
pub(super) fn knows_all(version: &LakeVersion, opened: &[PartitionWatermarks]) -> bool {
    opened.len() <= version.partitions_looked_up || opened.iter().all(|at| version.next.contains_key(&at.partition))
}

/// Follows the table's topic from the next offsets of the version.
pub(super) async fn follow(
    kafka: &KafkaSettings,
    patience: Duration,
    version: &LakeVersion,
) -> Result<TailFollower, UnionError> {
    let (input, zone) = mapping_of(version)?;
    let topic = version.topic.clone().ok_or(UnionError::NoTopic)?;
    let kafka = KafkaSettings { topic, ..kafka.clone() };
    let starts = version.next.iter().map(|(partition, offset)| (*partition, *offset)).collect();
    let follower = TailFollower::start(FollowSettings { kafka, input, zone, patience }, starts).await?;
    match version.identity.require(follower.identity()) {
        Ok(()) => Ok(follower),
        Err(other) => {
            follower.stop().await;
            Err(other.into())
        }
    }
}
