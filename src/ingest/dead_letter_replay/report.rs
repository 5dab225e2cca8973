//! What became of the selected dead letters, by the reason that the table has for them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dead_letter_file::StoredDeadLetter;
use super::selection::ReplaySelection;
use crate::decode::Rejection;
use crate::lake::ReplayedDeadLetters;

/// Maximum number of examples of dead letters that were rejected again.
const EXAMPLES: usize = 5;

/// Counts of the dead letters of one reason: `letters` is the sum of the other counts, except for `rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReasonReport {
    /// Selected dead letters.
    pub letters: u64,
    /// Their ticks were in the table before.
    pub replayed_before: u64,
    /// Their ticks were added, or would be in a dry run.
    pub replayed: u64,
    /// Ticks that were added for `replayed`.
    pub rows: u64,
    /// The mapping rejects them again.
    pub still_bad: u64,
    /// The mapping skips them: they are no ticks, or are filtered out.
    pub skipped: u64,
    /// The table has only the beginning of their payload.
    pub cut: u64,
    /// Not decoded before the run was stopped.
    pub left: u64,
}

/// A dead letter that this mapping rejects, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedExample {
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
    pub detail: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    pub dry_run: bool,
    /// The run was stopped before its end.
    pub stopped: bool,
    pub reasons: BTreeMap<String, ReasonReport>,
    /// Dead letters at or beyond the next offset of ingest.
    pub ahead: u64,
    pub commits: u64,
    /// Version of `ticks` that the last commit created.
    pub version: Option<u64>,
    /// Dead letters that were rejected again, by the new reason.
    pub still_bad: BTreeMap<String, u64>,
    pub examples: Vec<RejectedExample>,
}

impl ReplayReport {
    /// Keeps the counts of what was committed, and starts over with the rest.
    pub(super) fn begin_pass(&mut self, selection: &ReplaySelection) {
        self.ahead = selection.ahead;
        (self.still_bad, self.examples) = (BTreeMap::new(), Vec::new());
        for (reason, matching) in &selection.matching {
            let of = self.of(reason);
            let (letters, left, replayed, rows) =
                (matching.len(), matching.in_common(&selection.open), of.replayed, of.rows);
            let replayed_before = letters - left - replayed;
            *of = ReasonReport { letters, replayed_before, replayed, rows, left, ..ReasonReport::default() };
        }
    }

    pub(super) fn of(&mut self, reason: &str) -> &mut ReasonReport {
        if !self.reasons.contains_key(reason) {
            self.reasons.insert(reason.to_owned(), ReasonReport::default());
        }
        self.reasons.get_mut(reason).expect("it was put there")
    }

    pub(super) fn cut(&mut self, dead_letter: &StoredDeadLetter<'_>) {
        let of = self.of(dead_letter.reason);
        (of.cut, of.left) = (of.cut + 1, of.left - 1);
    }

    pub(super) fn skipped(&mut self, dead_letter: &StoredDeadLetter<'_>) {
        let of = self.of(dead_letter.reason);
        (of.skipped, of.left) = (of.skipped + 1, of.left - 1);
    }

    pub(super) fn still_bad(&mut self, dead_letter: &StoredDeadLetter<'_>, rejection: &Rejection) {
        let of = self.of(dead_letter.reason);
        (of.still_bad, of.left) = (of.still_bad + 1, of.left - 1);
        *self.still_bad.entry(rejection.reason.as_str().to_owned()).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            let (_, partition, offset) = dead_letter.identity;
            let (reason, detail) = (rejection.reason.as_str().to_owned(), rejection.detail.clone().into_owned());
            self.examples.push(RejectedExample { partition, offset, reason, detail });
        }
    }

    pub(super) fn replayed(&mut self, by_reason: BTreeMap<String, ReplayedDeadLetters>) {
        for (reason, ReplayedDeadLetters { dead_letters: letters, rows }) in by_reason {
            let (letters, rows) = (letters.unsigned_abs(), rows.unsigned_abs());
            let of = self.of(&reason);
            (of.replayed, of.rows, of.left) = (of.replayed + letters, of.rows + rows, of.left - letters);
        }
    }

    /// Returns the sums over all reasons.
    pub fn all(&self) -> ReasonReport {
        self.reasons.values().fold(ReasonReport::default(), |all, one| ReasonReport {
            letters: all.letters + one.letters,
            replayed_before: all.replayed_before + one.replayed_before,
            replayed: all.replayed + one.replayed,
            rows: all.rows + one.rows,
            still_bad: all.still_bad + one.still_bad,
            skipped: all.skipped + one.skipped,
            cut: all.cut + one.cut,
            left: all.left + one.left,
        })
    }
}
