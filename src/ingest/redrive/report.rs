//! What became of the letters that were wanted, by the reason that they have in the table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::letters::Letter;
use super::wanted::Selection;
use crate::decode::Rejection;
use crate::lake::ReplayedDeadLetters;

/// Letters that are still bad of which an example is kept.
const EXAMPLES: usize = 5;

/// Letters of one reason: `letters` is the sum of the others but `rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReasonReport {
    /// That were wanted.
    pub letters: u64,
    /// Whose ticks were there before.
    pub replayed_before: u64,
    /// Whose ticks were added, or would be.
    pub replayed: u64,
    /// Ticks of these.
    pub rows: u64,
    pub still_bad: u64,
    /// The mapping takes them for no tick, or filters them out.
    pub skipped: u64,
    /// Of which the table has only the beginning.
    pub cut: u64,
    /// Not looked at before it was stopped.
    pub left: u64,
}

/// A letter that is no tick by this mapping either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
    pub detail: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    /// It was stopped before it was done.
    pub stopped: bool,
    pub reasons: BTreeMap<String, ReasonReport>,
    /// Letters of offsets that ingest has not passed yet.
    pub ahead: u64,
    pub commits: u64,
    /// Version of `ticks` that the last commit made.
    pub version: Option<u64>,
    /// Letters that are still bad, by the reason of now.
    pub still_bad: BTreeMap<String, u64>,
    pub examples: Vec<Example>,
}

impl Report {
    /// What was committed stays; the rest is looked at again.
    pub(super) fn begin_pass(&mut self, selection: &Selection) {
        self.ahead = selection.ahead;
        (self.still_bad, self.examples) = (BTreeMap::new(), Vec::new());
        for (reason, wanted) in &selection.wanted {
            let of = self.of(reason);
            let (letters, left, replayed, rows) =
                (wanted.len(), wanted.in_common(&selection.open), of.replayed, of.rows);
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

    pub(super) fn cut(&mut self, letter: &Letter<'_>) {
        let of = self.of(letter.reason);
        (of.cut, of.left) = (of.cut + 1, of.left - 1);
    }

    pub(super) fn skipped(&mut self, letter: &Letter<'_>) {
        let of = self.of(letter.reason);
        (of.skipped, of.left) = (of.skipped + 1, of.left - 1);
    }

    pub(super) fn still_bad(&mut self, letter: &Letter<'_>, rejection: &Rejection) {
        let of = self.of(letter.reason);
        (of.still_bad, of.left) = (of.still_bad + 1, of.left - 1);
        *self.still_bad.entry(rejection.reason.as_str().to_owned()).or_default() += 1;
        if self.examples.len() < EXAMPLES {
            let (_, partition, offset) = letter.identity;
            let (reason, detail) = (rejection.reason.as_str().to_owned(), rejection.detail.clone().into_owned());
            self.examples.push(Example { partition, offset, reason, detail });
        }
    }

    pub(super) fn replayed(&mut self, by_reason: BTreeMap<String, ReplayedDeadLetters>) {
        for (reason, ReplayedDeadLetters { dead_letters: letters, rows }) in by_reason {
            let (letters, rows) = (letters.unsigned_abs(), rows.unsigned_abs());
            let of = self.of(&reason);
            (of.replayed, of.rows, of.left) = (of.replayed + letters, of.rows + rows, of.left - letters);
        }
    }

    /// Sums over all reasons.
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
