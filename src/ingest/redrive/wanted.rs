//! Which dead letters a replay is about.

use std::collections::BTreeMap;
use std::ops::Range;

use futures::{StreamExt, TryStreamExt};

use super::error::ReplayError;
use super::letters::Letters;
use super::mark::{MARKS, Mark};
use super::offsets::{Offsets, READERS};
use crate::decode::Reason;
use crate::lake::{DataFile, LakeVersion};

/// All of what is given has to be so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of these; any where there are none.
    pub reasons: Vec<Reason>,
    /// `ingested_at` at or after, and before; microseconds since the epoch, UTC.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub partition: Option<i32>,
    pub offsets: Option<Range<i64>>,
}

impl Wanted {
    fn has(&self, mark: &Mark<'_>) -> bool {
        let (_, partition, offset) = mark.identity;
        (self.reasons.is_empty() || self.reasons.iter().any(|reason| reason.as_str() == mark.reason))
            && self.from.is_none_or(|from| mark.ingested_at >= from)
            && self.to.is_none_or(|to| mark.ingested_at < to)
            && self.partition.is_none_or(|wanted| partition == wanted)
            && self.offsets.as_ref().is_none_or(|range| range.contains(&offset))
    }
}

/// Letters of one version of the lake.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// By reason.
    pub wanted: BTreeMap<String, Offsets>,
    /// Of all of these, the ones without a row in `ticks`.
    pub open: Offsets,
    /// Of offsets that ingest has not passed, so that they can't be told from those that it is about to write.
    pub ahead: u64,
}

/// # Errors
/// The letters or the ticks can't be read.
pub(super) async fn select(version: &LakeVersion, wanted: &Wanted) -> Result<Selection, ReplayError> {
    let mut selection = Selection::default();
    let files = futures::stream::iter(version.dead_letters.files.clone());
    let mut files = files.map(|file| marks_of(version, file, wanted)).buffered(READERS);
    while let Some(Marks { by_reason, ahead }) = files.try_next().await? {
        selection.ahead += ahead;
        for (reason, mut offsets) in by_reason {
            // A letter that is in the table twice counts once.
            selection.open.take_new(&mut offsets);
            selection.wanted.entry(reason).or_default().add(&offsets);
        }
    }
    selection.open.remove_rows(&version.ticks).await?;
    Ok(selection)
}

/// Letters of one file.
#[derive(Default)]
struct Marks {
    by_reason: BTreeMap<String, Offsets>,
    ahead: u64,
}

async fn marks_of(version: &LakeVersion, file: DataFile, wanted: &Wanted) -> Result<Marks, ReplayError> {
    let mut marks = Marks::default();
    let mut letters = Letters::of_columns(&version.dead_letters, &file, &MARKS).await?;
    while let Some(rows) = letters.next().await? {
        for mark in rows.marks().filter(|mark| wanted.has(mark)) {
            let (epoch, partition, offset) = mark.identity;
            let next = version.next.get(&partition).copied().unwrap_or(0);
            if epoch == version.epoch && offset >= next {
                marks.ahead += 1;
                continue;
            }
            if !marks.by_reason.contains_key(mark.reason) {
                marks.by_reason.insert(mark.reason.to_owned(), Offsets::default());
            }
            marks.by_reason.get_mut(mark.reason).expect("it was put there").insert(mark.identity);
        }
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conditions_count() {
        let mark = Mark { identity: (0, 2, 50), reason: "syntax", ingested_at: 1_000 };
        let all = Wanted {
            reasons: vec![Reason::Empty, Reason::Syntax],
            from: Some(1_000),
            to: Some(1_001),
            partition: Some(2),
            offsets: Some(50..51),
        };
        assert!(Wanted::default().has(&mark) && all.has(&mark));
        for wanted in [
            Wanted { reasons: vec![Reason::Empty], ..all.clone() },
            Wanted { from: Some(1_001), ..all.clone() },
            Wanted { to: Some(1_000), ..all.clone() },
            Wanted { partition: Some(0), ..all.clone() },
            Wanted { offsets: Some(51..60), ..all.clone() },
        ] {
            assert!(!wanted.has(&mark), "{wanted:?}");
        }
    }
}
