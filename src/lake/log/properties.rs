//! Properties of `ticks` that say what the lake is for.

pub(in crate::lake) const EPOCH: &str = "tickhouse.kafka_epoch";
pub(in crate::lake) const TOPIC: &str = "tickhouse.topic";
pub(in crate::lake) const CLUSTER_ID: &str = "tickhouse.cluster_id";
pub(in crate::lake) const TOPIC_ID: &str = "tickhouse.topic_id";
/// Table property: the zone of trade dates, an IANA name.
pub const MARKET_ZONE: &str = "tickhouse.market_zone";
/// Table property: a [`PartitionBy`].
pub const PARTITION_BY: &str = "tickhouse.partition_by";
/// Table property: the mapping of messages, as JSON.
pub const INPUT: &str = "tickhouse.input";
