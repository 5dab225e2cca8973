//! Selects the dead letters of a replay.

use std::collections::BTreeMap;
use std::ops::Range;

use futures::{StreamExt, TryStreamExt};

use super::dead_letter_file::DeadLetterFile;
use super::dead_letter_key::{DeadLetterKey, KEY_COLUMNS};
use super::error::DeadLetterReplayError;
use super::offset_set::{OffsetSet, READERS};
use crate::decode::RejectionReason;
use crate::lake::{DataFile, LakeVersion};

/// A dead letter is selected if it meets all of the conditions that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    /// The dead letter has one of these reasons; an empty list accepts every reason.
    pub reasons: Vec<RejectionReason>,
    /// `ingested_at` is in `[from, to)`; microseconds since the epoch, UTC.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub partition: Option<i32>,
    pub offsets: Option<Range<i64>>,
}

impl ReplayFilter {
    fn matches(&self, key: &DeadLetterKey<'_>) -> bool {
        let (_, partition, offset) = key.identity;
        (self.reasons.is_empty() || self.reasons.iter().any(|reason| reason.as_str() == key.reason))
            && self.from.is_none_or(|from| key.ingested_at >= from)
            && self.to.is_none_or(|to| key.ingested_at < to)
            && self.partition.is_none_or(|only| partition == only)
            && self.offsets.as_ref().is_none_or(|range| range.contains(&offset))
    }
}

/// The selected dead letters of one version of the lake.
#[derive(Debug, Default)]
pub(super) struct ReplaySelection {
    /// All that meet the conditions, by reason.
    pub matching: BTreeMap<String, OffsetSet>,
    /// Those among them that have no row in `ticks`.
    pub open: OffsetSet,
    /// Dead letters at or beyond the next offset of ingest, whose ticks it may be about to write.
    pub ahead: u64,
}

/// # Errors
/// The dead letters or the ticks can't be read.
pub(super) async fn select(
    version: &LakeVersion,
    filter: &ReplayFilter,
) -> Result<ReplaySelection, DeadLetterReplayError> {
    let mut selection = ReplaySelection::default();
    let files = futures::stream::iter(version.dead_letters.files.clone());
    let mut files = files.map(|file| select_in_file(version, file, filter)).buffered(READERS);
    while let Some(FileSelection { by_reason, ahead }) = files.try_next().await? {
        selection.ahead += ahead;
        for (reason, mut offsets) in by_reason {
            // A dead letter that is in the table twice counts once.
            selection.open.take_new(&mut offsets);
            selection.matching.entry(reason).or_default().add(&offsets);
        }
    }
    selection.open.remove_rows(&version.ticks).await?;
    Ok(selection)
}

/// The selected dead letters of one file.
#[derive(Default)]
struct FileSelection {
    by_reason: BTreeMap<String, OffsetSet>,
    ahead: u64,
}

async fn select_in_file(
    version: &LakeVersion,
    file: DataFile,
    filter: &ReplayFilter,
) -> Result<FileSelection, DeadLetterReplayError> {
    let mut keys = FileSelection::default();
    let mut file_reader = DeadLetterFile::of_columns(&version.dead_letters, &file, &KEY_COLUMNS).await?;
    while let Some(rows) = file_reader.next().await? {
        for key in rows.keys().filter(|key| filter.matches(key)) {
            let (epoch, partition, offset) = key.identity;
            let next = version.next.get(&partition).copied().unwrap_or(0);
            if epoch == version.epoch && offset >= next {
                keys.ahead += 1;
                continue;
            }
            if !keys.by_reason.contains_key(key.reason) {
                keys.by_reason.insert(key.reason.to_owned(), OffsetSet::default());
            }
            keys.by_reason.get_mut(key.reason).expect("it was put there").insert(key.identity);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conditions_count() {
        let key = DeadLetterKey { identity: (0, 2, 50), reason: "syntax", ingested_at: 1_000 };
        let all = ReplayFilter {
            reasons: vec![RejectionReason::Empty, RejectionReason::Syntax],
            from: Some(1_000),
            to: Some(1_001),
            partition: Some(2),
            offsets: Some(50..51),
        };
        assert!(ReplayFilter::default().matches(&key) && all.matches(&key));
        for filter in [
            ReplayFilter { reasons: vec![RejectionReason::Empty], ..all.clone() },
            ReplayFilter { from: Some(1_001), ..all.clone() },
            ReplayFilter { to: Some(1_000), ..all.clone() },
            ReplayFilter { partition: Some(0), ..all.clone() },
            ReplayFilter { offsets: Some(51..60), ..all.clone() },
        ] {
            assert!(!filter.matches(&key), "{filter:?}");
        }
    }
}
