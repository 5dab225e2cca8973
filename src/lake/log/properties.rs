//! Properties of `ticks` that identify what the lake holds.

use crate::lake::error::LakeError;

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

/// The epoch that the text of `property` names; 0 before the first change.
///
/// # Errors
/// The text is not a number.
pub(in crate::lake) fn epoch_of(table: &str, property: &str, text: Option<&str>) -> Result<i32, LakeError> {
    let Some(text) = text else { return Ok(0) };
    text.parse().map_err(|_| LakeError::Table {
        action: "read the epoch",
        table: table.to_owned(),
        detail: format!("{property} is '{text}', expected a number"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_is_not_a_number_is_an_error() {
        let epoch = |text| epoch_of("ticks", EPOCH, text);
        assert_eq!((epoch(None).unwrap(), epoch(Some("2")).unwrap()), (0, 2));
        let error = epoch(Some("two")).unwrap_err().to_string();
        assert!(error.contains("tickhouse.kafka_epoch is 'two'"), "{error}");
    }
}
