//! Compares the counters of one partition with the rows of the partition in the two tables.
//!
//! A replayed dead letter is in both tables on purpose: its offset counts as a dead letter, and its rows have separate
//! counters and are not included in `rows`.

use std::ops::Range;

use roaring::RoaringTreemap;

use crate::check::verify::files::TableContents;
use crate::check::verify::finding::{FindingKind, Findings};
use crate::check::verify::identities::gaps;
use crate::check::verify::logged::{DEAD_LETTERS, TICKS};
use crate::lake::PartitionCounters;

/// Maximum number of gaps in a finding.
const GAPS: usize = 5;

pub(super) struct BothTables<'a> {
    pub(super) epoch: i32,
    pub(super) rows: &'a TableContents,
    pub(super) dead_letters: &'a TableContents,
}

/// Adds a finding for every difference between the counters and `transaction`, among the counters, or between the
/// counters and the tables.
pub(super) fn check_partition(
    partition: i32,
    counters: &PartitionCounters,
    transaction: Option<i64>,
    held: &BothTables<'_>,
    findings: &mut Findings,
) {
    let dead_letters = held.dead_letters.identities.of(held.epoch, partition);
    let check = PartitionCheck {
        partition,
        counters,
        held,
        dead_letters: dead_letters.map_or_else(RoaringTreemap::new, |dead_letters| dead_letters.offsets()),
        ranges_are_sound: counters.lost_ranges.are_valid(counters.first, counters.next)
            && counters.lost_ranges.offsets() <= counters.lost,
    };
    check.transaction(transaction, findings);
    check.balance(findings);
    let ends = u64::try_from(counters.first).ok().zip(u64::try_from(counters.next).ok());
    let Some(range) = ends.map(|(start, end)| start..end.max(start)) else { return };
    let stored = check.count_stored(range);
    check.rows(&stored, findings);
    check.replayed(&stored, findings);
    check.dead_letters(&stored, findings);
}

struct PartitionCheck<'a> {
    partition: i32,
    counters: &'a PartitionCounters,
    held: &'a BothTables<'a>,
    /// All offsets in the dead-letter table, including those outside of the range of the counters.
    dead_letters: RoaringTreemap,
    /// Whether the ranges of given-up offsets are consistent. If not, it is unknown which offsets were given up.
    ranges_are_sound: bool,
}

/// Counts of the rows in the tables whose offsets are in the range of the counters.
struct StoredCounts {
    range: Range<u64>,
    /// Offsets in `ticks`, without those of replayed dead letters.
    offsets: RoaringTreemap,
    rows: i64,
    stored_offsets: i64,
    dead: i64,
    replayed_offsets: i64,
    replayed_rows: i64,
}

impl StoredCounts {
    fn all_rows(&self) -> i64 {
        self.rows + self.replayed_rows
    }
}

impl PartitionCheck<'_> {
    fn position(&self) -> String {
        format!("partition {}", self.partition)
    }

    /// How many of these offsets an operator gave up.
    fn given_up(&self, offsets: &RoaringTreemap) -> i64 {
        match self.ranges_are_sound {
            true => {
                let ranges = self.counters.lost_ranges.iter();
                ranges.map(|range| offsets.range_cardinality(unsigned(&range)) as i64).sum()
            }
            false => 0,
        }
    }

    /// Dead letters that were committed before their ticks, and whose offsets an operator then gave up.
    fn given_up_dead_letters(&self) -> i64 {
        self.given_up(&self.dead_letters)
    }

    fn transaction(&self, transaction: Option<i64>, findings: &mut Findings) {
        let next = self.counters.next;
        if transaction != Some(next) {
            let transaction = transaction.map_or_else(|| "missing".to_owned(), |next| next.to_string());
            findings.add(TICKS, FindingKind::CountersTransaction, || {
                (self.position(), format!("next is {next}, the transaction that ingest goes on from {transaction}"))
            });
        }
    }

    fn balance(&self, findings: &mut Findings) {
        let PartitionCounters {
            first,
            next,
            stored_offsets,
            rows,
            dead,
            skipped,
            holes,
            lost,
            ref lost_ranges,
            unknown,
            unplaced_before: _,
            leader_epoch: _,
            replayed_offsets,
            replayed_rows,
            expired_rows,
            expired_before: _,
        } = *self.counters;
        let in_range = [first, next, stored_offsets, rows, dead, skipped, holes, lost, unknown];
        let mut parts = in_range.into_iter().chain([replayed_offsets, replayed_rows, expired_rows]);
        // If retention dropped the rows of a dead letter, it can be replayed again and is then counted twice.
        let is_replayed_twice =
            expired_rows == 0 && replayed_offsets > dead.saturating_add(self.given_up_dead_letters());
        let offsets = next.saturating_sub(first);
        let is_balanced = expired_rows <= rows.saturating_add(replayed_rows)
            && self.counters.offsets() == offsets
            && parts.all(|part| part >= 0)
            && !is_replayed_twice
            && self.ranges_are_sound;
        if is_balanced {
            return;
        }
        findings.add(TICKS, FindingKind::CountersUnbalanced, || {
            let parts =
                format!("{stored_offsets} stored + {dead} dead + {skipped} skipped + {holes} holes + {lost} lost");
            let unknown = if unknown == 0 { String::new() } else { format!(" + {unknown} unknown") };
            let replayed = match replayed_offsets {
                0 => String::new(),
                _ => format!("; {replayed_offsets} of the dead replayed"),
            };
            let ranges = match self.ranges_are_sound {
                true => String::new(),
                false => format!("; ranges of {} lost offsets are not in it", lost_ranges.offsets()),
            };
            let counted = format!("[{first}, {next}) has {offsets} offsets, the counters {parts}");
            (self.position(), format!("{counted}{unknown}{replayed}{ranges}"))
        });
    }

    fn count_stored(&self, range: Range<u64>) -> StoredCounts {
        let ticks = self.held.rows.identities.of(self.held.epoch, self.partition);
        let all = ticks.map_or_else(RoaringTreemap::new, |ticks| ticks.offsets());
        let offsets = &all - &self.dead_letters;
        let rows = ticks.map_or(0, |ticks| ticks.rows_outside(&range, &self.dead_letters)) as i64;
        let all_rows = ticks.map_or(0, |ticks| ticks.rows_outside(&range, &RoaringTreemap::new())) as i64;
        StoredCounts {
            rows,
            stored_offsets: offsets.range_cardinality(range.clone()) as i64,
            dead: self.dead_letters.range_cardinality(range.clone()) as i64 - self.given_up_dead_letters(),
            replayed_offsets: (&all & &self.dead_letters).range_cardinality(range.clone()) as i64,
            replayed_rows: all_rows - rows,
            offsets,
            range,
        }
    }

    fn in_neither(&self, stored: &StoredCounts) -> String {
        describe_gaps(&stored.range, &(&stored.offsets | &self.dead_letters))
    }

    /// Whether all dead letters could be read. If not, it is unknown which rows were replayed.
    fn knows_dead_letters(&self) -> bool {
        self.held.dead_letters.unreadable == 0
    }

    /// Whether retention dropped no rows of the partition. For dropped rows, it is unknown whether they were replayed,
    /// and whether they were the last ones of their offsets.
    fn is_complete(&self) -> bool {
        self.counters.expired_rows == 0
    }

    fn rows(&self, stored: &StoredCounts, findings: &mut Findings) {
        let PartitionCounters { rows, stored_offsets, replayed_rows, expired_rows, .. } = *self.counters;
        let staying = rows.saturating_add(replayed_rows).saturating_sub(expired_rows);
        let is_less = match self.is_complete() {
            true => stored.rows < rows || stored.stored_offsets < stored_offsets,
            false => stored.all_rows() < staying,
        };
        let is_more = match self.is_complete() && self.knows_dead_letters() {
            true => stored.rows > rows || stored.stored_offsets > stored_offsets,
            false => stored.all_rows() > staying,
        };
        let is_more = is_more || self.knows_dead_letters() && self.given_up(&stored.offsets) > 0;
        let detail = || {
            let left = match self.is_complete() {
                true => String::new(),
                false => format!(", {expired_rows} rows left with old dates"),
            };
            let counted = format!("the counters say {rows} rows of {stored_offsets} offsets{left}");
            let has = format!("the table has {} of {}", stored.rows, stored.stored_offsets);
            (self.position(), format!("{counted}, {has}; {}", self.in_neither(stored)))
        };
        if is_less && self.held.rows.unreadable == 0 {
            findings.add(TICKS, FindingKind::RowsMissing, detail);
        } else if is_more {
            findings.add(TICKS, FindingKind::RowsSurplus, detail);
        }
    }

    fn replayed(&self, stored: &StoredCounts, findings: &mut Findings) {
        let PartitionCounters { replayed_offsets, replayed_rows, .. } = *self.counters;
        let detail = || {
            let counted = format!("the counters say {replayed_rows} rows of {replayed_offsets} replayed dead letters");
            let has = format!("the table has {} of {}", stored.replayed_rows, stored.replayed_offsets);
            (self.position(), format!("{counted}, {has}"))
        };
        let is_less =
            self.is_complete() && (stored.replayed_rows < replayed_rows || stored.replayed_offsets < replayed_offsets);
        if is_less && self.knows_dead_letters() && self.held.rows.unreadable == 0 {
            findings.add(TICKS, FindingKind::ReplayedMissing, detail);
        } else if stored.replayed_rows > replayed_rows || stored.replayed_offsets > replayed_offsets {
            findings.add(TICKS, FindingKind::ReplayedSurplus, detail);
        }
    }

    fn dead_letters(&self, stored: &StoredCounts, findings: &mut Findings) {
        let dead = self.counters.dead;
        let detail = || {
            let text = format!("the counters say {dead}, the table has {}; {}", stored.dead, self.in_neither(stored));
            (self.position(), text)
        };
        if stored.dead < dead && self.knows_dead_letters() {
            findings.add(DEAD_LETTERS, FindingKind::DeadLettersMissing, detail);
        } else if stored.dead > dead {
            findings.add(DEAD_LETTERS, FindingKind::DeadLettersSurplus, detail);
        }
    }
}

fn unsigned(range: &Range<i64>) -> Range<u64> {
    range.start.max(0).unsigned_abs()..range.end.max(0).unsigned_abs()
}

/// Describes the offsets that are in neither table: missing rows, skipped messages and holes in the topic.
fn describe_gaps(range: &Range<u64>, present: &RoaringTreemap) -> String {
    let missing = (range.end - range.start) - present.range_cardinality(range.clone());
    if missing == 0 {
        return "every offset is in one of the two tables".to_owned();
    }
    let gaps = gaps(range, present, GAPS);
    let named: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
    let text = |gap: &Range<u64>| match gap.end - gap.start {
        1 => gap.start.to_string(),
        _ => format!("{}-{}", gap.start, gap.end - 1),
    };
    let more = if named < missing { format!(" and {} more", missing - named) } else { String::new() };
    format!("in neither table: {}{more}", gaps.iter().map(text).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(identities: &[(i64, i32)]) -> TableContents {
        let mut held = TableContents::default();
        for (offset, index) in identities {
            held.identities.add((0, 0), *offset as u64, *index);
        }
        held
    }

    fn found(
        counters: PartitionCounters,
        transaction: i64,
        rows: &TableContents,
        dead_letters: &TableContents,
    ) -> Vec<(&'static str, String)> {
        let mut findings = Findings::new(10);
        check_partition(0, &counters, Some(transaction), &BothTables { epoch: 0, rows, dead_letters }, &mut findings);
        findings.listed().into_iter().map(|finding| (finding.kind.name(), finding.detail)).collect()
    }

    #[test]
    fn counters_are_compared_with_both_tables() {
        // Offset 3 carries two ticks, 5 is a dead letter, 6 and 7 are skipped, and 9 is a dead letter beyond the range.
        let rows = held(&[(2, 0), (3, 0), (3, 1), (4, 0)]);
        let dead_letters = held(&[(5, 0), (9, 0)]);
        let good = PartitionCounters {
            first: 2,
            next: 8,
            stored_offsets: 3,
            rows: 4,
            dead: 1,
            skipped: 2,
            ..Default::default()
        };
        assert_eq!(found(good.clone(), 8, &rows, &dead_letters), []);
        let replayed = held(&[(2, 0), (3, 0), (3, 1), (4, 0), (5, 0), (5, 1)]);
        let counted = PartitionCounters { replayed_offsets: 1, replayed_rows: 2, ..good.clone() };
        assert_eq!(found(counted.clone(), 8, &replayed, &dead_letters), []);

        // The given-up range contains only a dead letter, whose ticks were never committed.
        let lost = |ranges: &str| PartitionCounters {
            next: 12,
            lost: 4,
            lost_ranges: serde_json::from_str(ranges).unwrap(),
            ..good.clone()
        };
        assert_eq!(found(lost("[[8,12]]"), 12, &rows, &dead_letters), []);
        let in_lost = held(&[(2, 0), (3, 0), (3, 1), (4, 0), (9, 0), (10, 0)]);
        let only = |counters, rows: &TableContents| {
            found(counters, 12, rows, &dead_letters).into_iter().map(|(what, _)| what).collect::<Vec<_>>()
        };
        assert_eq!(only(lost("[[8,12]]"), &in_lost), ["rows-surplus", "replayed-rows-surplus"]);
        assert_eq!(only(lost("[[8,13]]"), &rows), ["counters-unbalanced", "dead-letters-surplus"]);
        assert_eq!(only(PartitionCounters { lost: 0, unknown: 4, ..lost("[]") }, &rows), ["dead-letters-surplus"]);

        let one = |counters, transaction, rows: &TableContents, dead_letters: &TableContents| {
            let all = found(counters, transaction, rows, dead_letters);
            assert_eq!(all.len(), 1, "{all:?}");
            all[0].clone()
        };
        let (what, detail) = one(good.clone(), 8, &replayed, &dead_letters);
        assert_eq!(what, "replayed-rows-surplus");
        assert_eq!(detail, "the counters say 0 rows of 0 replayed dead letters, the table has 2 of 1");
        assert_eq!(one(counted.clone(), 8, &rows, &dead_letters).0, "replayed-rows-missing");
        let half = held(&[(2, 0), (3, 0), (3, 1), (4, 0), (5, 0)]);
        assert_eq!(one(counted.clone(), 8, &half, &dead_letters).0, "replayed-rows-missing");
        let more = PartitionCounters { replayed_offsets: 2, replayed_rows: 2, ..good.clone() };
        let kinds: Vec<_> = found(more, 8, &replayed, &dead_letters).into_iter().map(|(what, _)| what).collect();
        assert_eq!(kinds, ["counters-unbalanced", "replayed-rows-missing"]);
        let (what, detail) = one(good.clone(), 8, &held(&[(2, 0), (3, 0), (3, 1)]), &dead_letters);
        assert_eq!(what, "rows-missing");
        let expected = "the counters say 4 rows of 3 offsets, the table has 3 of 2; in neither table: 4, 6-7";
        assert_eq!(detail, expected);
        assert_eq!(one(good.clone(), 8, &held(&[(2, 0), (3, 0), (4, 0)]), &dead_letters).0, "rows-missing");
        assert_eq!(
            one(good.clone(), 8, &held(&[(2, 0), (3, 0), (3, 1), (4, 0), (6, 0)]), &dead_letters).0,
            "rows-surplus"
        );
        assert_eq!(one(good.clone(), 8, &rows, &held(&[(9, 0)])).0, "dead-letters-missing");
        assert_eq!(one(good.clone(), 8, &rows, &held(&[(5, 0), (6, 0)])).0, "dead-letters-surplus");
        assert_eq!(one(good.clone(), 7, &rows, &dead_letters).0, "counters-differ-from-transaction");
        assert_eq!(
            one(PartitionCounters { skipped: 3, ..good.clone() }, 8, &rows, &dead_letters).0,
            "counters-unbalanced"
        );
        let unreadable = TableContents { unreadable: 1, ..held(&[(2, 0)]) };
        assert_eq!(found(good.clone(), 8, &unreadable, &dead_letters), []);
        // Retention dropped the date of offset 2 and of one of the two ticks of offset 3.
        let expired = PartitionCounters { expired_rows: 2, ..good.clone() };
        let staying = held(&[(3, 1), (4, 0)]);
        assert_eq!(found(expired.clone(), 8, &staying, &dead_letters), []);
        let (what, detail) = one(expired.clone(), 8, &held(&[(4, 0)]), &dead_letters);
        let expected = "the counters say 4 rows of 3 offsets, 2 rows left with old dates, the table has 1 of 1";
        assert_eq!((what, detail.split(';').next().unwrap()), ("rows-missing", expected));
        assert_eq!(one(expired.clone(), 8, &held(&[(3, 0), (3, 1), (4, 0)]), &dead_letters).0, "rows-surplus");
        let too_many = PartitionCounters { expired_rows: 5, ..good.clone() };
        assert_eq!(found(too_many, 8, &held(&[]), &dead_letters)[0].0, "counters-unbalanced");
        let no_dead_letters = TableContents { unreadable: 1, ..TableContents::default() };
        assert_eq!(found(counted.clone(), 8, &replayed, &no_dead_letters), []);
    }
}
