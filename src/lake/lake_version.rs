//! What a reader needs that continues in Kafka where the table ends: the files of one version, and the offset of each
//! partition below which this version is complete.
//!
//! Invariant: everything in a [`LakeVersion`] except for the dead letters belongs to the snapshot's version. The head,
//! which writers use, may be newer than the snapshot.

use std::collections::BTreeMap;

use crate::lake::commit::handle::Lake;
use crate::lake::error::LakeError;
use crate::lake::log::newer_version::has_newer;
use crate::lake::log::properties::{CLUSTER_ID, EPOCH, INPUT, MARKET_ZONE, TOPIC, TOPIC_ID, epoch_of};
use crate::lake::log::transactions::app_id;
use crate::lake::log::view::TableView;
use crate::market::TopicIdentity;

/// `ticks` at one version.
#[derive(Debug, Clone)]
pub struct LakeVersion {
    pub version: u64,
    /// Incarnation of the topic.
    pub epoch: i32,
    /// The offset of each partition below which the table is complete; partitions that were never committed are absent.
    pub next: BTreeMap<i32, i64>,
    /// Number of partitions of the topic that were looked up: a partition below it that `next` lacks was never
    /// committed.
    pub partitions_looked_up: usize,
    pub ticks: TableView,
    /// Dead letters as of the last refresh.
    pub dead_letters: TableView,
    pub signals: Option<TableView>,
    pub topic: Option<String>,
    pub identity: TopicIdentity,
    /// The mapping of messages, as JSON, and the zone of trade dates, as ingest stored them.
    pub input: Option<String>,
    pub market_zone: Option<String>,
}

impl Lake {
    /// The version of the last refresh. Looks up the first `partitions` partitions of the topic, and those that the
    /// newest ingest commit names.
    ///
    /// # Errors
    /// The log can't be read, or a file or a column is of a kind that tickhouse doesn't know.
    pub async fn newest(&self, partitions: usize) -> Result<LakeVersion, LakeError> {
        let ticks = &self.ticks;
        let state = ticks.snapshot()?;
        let version = state.version();
        let property = |key: &str| state.metadata().configuration().get(key).cloned();
        let epoch = epoch_of(&ticks.name, EPOCH, property(EPOCH).as_deref())?;
        let record = ticks.record_at(version).await?.filter(|record| record.epoch == epoch);
        let counters = record.map(|record| record.partitions).unwrap_or_default();
        // The counters come from the same commits as the transactions.
        let mut next: BTreeMap<i32, i64> =
            counters.iter().map(|(partition, counted)| (*partition, counted.next)).collect();
        for partition in (0..).take(partitions) {
            if next.contains_key(&partition) {
                continue;
            }
            let read = state.transaction_version(ticks.log.as_ref(), app_id(epoch, partition)).await;
            if let Some(offset) = read.map_err(|error| ticks.error("read the transaction", error))? {
                next.insert(partition, offset);
            }
        }
        Ok(LakeVersion {
            version,
            epoch,
            next,
            partitions_looked_up: partitions,
            ticks: TableView::of(ticks)?,
            dead_letters: self.dead_letters()?,
            signals: self.signals()?,
            topic: property(TOPIC),
            identity: TopicIdentity {
                cluster_id: property(CLUSTER_ID).unwrap_or_default(),
                topic_id: property(TOPIC_ID),
            },
            input: property(INPUT),
            market_zone: property(MARKET_ZONE),
        })
    }

    /// Whether somebody committed to `ticks` or `signals` since the last refresh: two small requests.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn has_newer(&self) -> Result<bool, LakeError> {
        let of_signals = async {
            match &self.signals {
                Some(signals) => signals.has_newer().await,
                None => Ok(false),
            }
        };
        Ok(has_newer(&self.ticks).await? || of_signals.await?)
    }
}
