//! Where a union begins: a follower and a store for a version of the table.

use std::time::Duration;

use super::error::UnionError;
use super::follower::{FollowSettings, Follower};
use super::mapping::mapping_of;
use super::rows::RowMaker;
use super::store::Store;
use crate::kafka::{Assigned, KafkaSettings};
use crate::lake::LakeVersion;

pub(super) fn store_of(version: &LakeVersion) -> Result<Store, UnionError> {
    let (input, _) = mapping_of(version)?;
    let extras = input.columns.keys().cloned().collect();
    Ok(Store::new(RowMaker::new(&version.ticks, version.epoch, extras))?)
}

/// Where the version ends is known of every partition.
pub(super) fn knows_all(version: &LakeVersion, opened: &[Assigned]) -> bool {
    opened.len() <= version.partitions_looked_up || opened.iter().all(|at| version.next.contains_key(&at.partition))
}

/// Follows the table's topic from what the version covers on.
pub(super) async fn follow(
    kafka: &KafkaSettings,
    patience: Duration,
    version: &LakeVersion,
) -> Result<Follower, UnionError> {
    let (input, zone) = mapping_of(version)?;
    let topic = version.topic.clone().ok_or(UnionError::NoTopic)?;
    let kafka = KafkaSettings { topic, ..kafka.clone() };
    let starts = version.next.iter().map(|(partition, offset)| (*partition, *offset)).collect();
    let follower = Follower::start(FollowSettings { kafka, input, zone, patience }, starts).await?;
    match version.identity.require(follower.identity()) {
        Ok(()) => Ok(follower),
        Err(other) => {
            follower.stop().await;
            Err(other.into())
        }
    }
}
