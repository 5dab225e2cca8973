//! Checks that the counters of the newest commit match the tables.
//!
//! A replayed dead letter is in both tables on purpose: its offset counts as dead, and its rows have separate counters
//! and are not included in `rows`.

use std::collections::BTreeMap;
use std::ops::Range;

use roaring::RoaringTreemap;

use super::files::{Bounds, TableContents};
use super::finding::{FindingKind, Findings};
use super::identities::gaps;
use super::logged::{DEAD_LETTERS, TICKS};
use crate::lake::{LoggedVersion, PartitionCounters};

/// Maximum number of gaps in a finding.
const GAPS: usize = 5;

/// Counters of the table's epoch, by partition.
pub(super) fn counters_of(ticks: &LoggedVersion) -> Option<&BTreeMap<i32, PartitionCounters>> {
    ticks.counters.as_ref().filter(|counters| counters.epoch == ticks.epoch()).map(|counters| &counters.partitions)
}

/// The offsets that the counters allow in `ticks`. `dead_letters` may also have offsets below its own transaction,
/// which a crash between the two commits leaves.
pub(super) fn bounds(ticks: &LoggedVersion, dead_letters: Option<&LoggedVersion>) -> Option<Bounds> {
    let epoch = ticks.epoch();
    let counters = counters_of(ticks)?;
    let range = |partition: i32| {
        let ahead = dead_letters.and_then(|dead_letters| dead_letters.next_offset(epoch, partition)).unwrap_or(0);
        let next = ticks.next_offset(epoch, partition).unwrap_or(0);
        let range = counters.get(&partition).map_or(0..next, |counters| counters.first..counters.next);
        (partition, range.start..range.end.max(ahead))
    };
    let partitions = counters.keys().copied().chain(ticks.partitions(epoch)).map(range).collect();
    Some(Bounds { epoch, partitions })
}

/// Partitions whose counters can't say why some offsets are in neither table.
pub(super) fn unknown(ticks: &LoggedVersion) -> impl Iterator<Item = String> {
    let unknown = counters_of(ticks).into_iter().flatten().filter(|(_, counters)| counters.unknown > 0);
    unknown.map(|(partition, counters)| {
        let (unknown, end) = (counters.unknown, counters.unplaced_end());
        format!(
            "partition {partition}: why {unknown} offsets below {end} are in neither table: the counters were lost, and \
             the tables counted again"
        )
    })
}

/// Compares the counters with the contents of the tables. A table with unreadable files may have less than the counters
/// say.
pub(super) fn check(
    ticks: &LoggedVersion,
    rows: &TableContents,
    dead_letters: &TableContents,
    findings: &mut Findings,
) {
    let epoch = ticks.epoch();
    let Some(counters) = counters_of(ticks) else {
        let has_logged = ticks.partitions(epoch).next().is_some()
            || rows.identities.partitions().any(|(row_epoch, _)| row_epoch == epoch);
        if has_logged {
            let known = ticks.counters.as_ref().map_or_else(
                || "no commit in the log has any".to_owned(),
                |counters| format!("the newest are of epoch {}, the table is at {epoch}", counters.epoch),
            );
            findings.add(TICKS, FindingKind::CountersMissing, || (format!("version {}", ticks.version), known));
        }
        return;
    };
    for partition in ticks.partitions(epoch).filter(|partition| !counters.contains_key(partition)) {
        findings.add(TICKS, FindingKind::CountersMissing, || {
            (format!("partition {partition}"), "there is a transaction and no counters".to_owned())
        });
    }
    for (partition, counters) in counters {
        let next = ticks.next_offset(epoch, *partition);
        check_partition(*partition, counters, next, &BothTables { epoch, rows, dead_letters }, findings);
    }
}

struct BothTables<'a> {
    epoch: i32,
    rows: &'a TableContents,
    dead_letters: &'a TableContents,
}

fn check_partition(
    partition: i32,
    counters: &PartitionCounters,
    transaction: Option<i64>,
    held: &BothTables<'_>,
    findings: &mut Findings,
) {
    let position = || format!("partition {partition}");
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
    } = *counters;
    if transaction != Some(next) {
        let transaction = transaction.map_or_else(|| "missing".to_owned(), |next| next.to_string());
        findings.add(TICKS, FindingKind::CountersTransaction, || {
            (position(), format!("next is {next}, the transaction that ingest goes on from {transaction}"))
        });
    }
    let range = u64::try_from(first).ok().zip(u64::try_from(next).ok()).map(|(start, end)| start..end.max(start));
    let ranges_are_sound = lost_ranges.are_valid(first, next) && lost_ranges.offsets() <= lost;
    let dead_letters = held.dead_letters.identities.of(held.epoch, partition);
    let dead_letters = dead_letters.map_or_else(RoaringTreemap::new, |dead_letters| dead_letters.offsets());
    let given_up = |offsets: &RoaringTreemap| match ranges_are_sound {
        true => lost_ranges.iter().map(|range| offsets.range_cardinality(unsigned(&range)) as i64).sum(),
        false => 0,
    };
    // Dead letters that were committed before their ticks, whose offsets an operator then gave up.
    let given_up_dead_letters: i64 = given_up(&dead_letters);
    let parts = [
        first,
        next,
        stored_offsets,
        rows,
        dead,
        skipped,
        holes,
        lost,
        unknown,
        replayed_offsets,
        replayed_rows,
        expired_rows,
    ];
    // A dead letter whose rows were dropped by retention can be replayed again, and then counts twice.
    let is_replayed_twice = expired_rows == 0 && replayed_offsets > dead.saturating_add(given_up_dead_letters);
    if expired_rows > rows.saturating_add(replayed_rows)
        || counters.offsets() != next.saturating_sub(first)
        || parts.iter().any(|part| *part < 0)
        || is_replayed_twice
        || !ranges_are_sound
    {
        findings.add(TICKS, FindingKind::CountersUnbalanced, || {
            let parts =
                format!("{stored_offsets} stored + {dead} dead + {skipped} skipped + {holes} holes + {lost} lost");
            let unknown = if unknown == 0 { String::new() } else { format!(" + {unknown} unknown") };
            let replayed = match replayed_offsets {
                0 => String::new(),
                _ => format!("; {replayed_offsets} of the dead replayed"),
            };
            let ranges = match ranges_are_sound {
                true => String::new(),
                false => format!("; ranges of {} lost offsets are not in it", lost_ranges.offsets()),
            };
            let offsets = next.saturating_sub(first);
            (
                position(),
                format!("[{first}, {next}) has {offsets} offsets, the counters {parts}{unknown}{replayed}{ranges}"),
            )
        });
    }
    let Some(range) = range else { return };
    let ticks = held.rows.identities.of(held.epoch, partition);
    let all = ticks.map_or_else(RoaringTreemap::new, |ticks| ticks.offsets());
    let offsets = &all - &dead_letters;
    let rows_held = ticks.map_or(0, |ticks| ticks.rows_outside(&range, &dead_letters)) as i64;
    let all_rows = ticks.map_or(0, |ticks| ticks.rows_outside(&range, &RoaringTreemap::new())) as i64;
    let (stored_held, dead_held) = (
        offsets.range_cardinality(range.clone()) as i64,
        dead_letters.range_cardinality(range.clone()) as i64 - given_up_dead_letters,
    );
    let both_held = (&all & &dead_letters).range_cardinality(range.clone()) as i64;

    let in_neither = || describe_gaps(&range, &(&offsets | &dead_letters));
    let is_whole = expired_rows == 0;
    let rows_told = || {
        let left = if is_whole { String::new() } else { format!(", {expired_rows} rows left with old dates") };
        let counted = format!("the counters say {rows} rows of {stored_offsets} offsets{left}");
        (position(), format!("{counted}, the table has {rows_held} of {stored_held}; {}", in_neither()))
    };
    let staying = rows.saturating_add(replayed_rows).saturating_sub(expired_rows);
    // For rows that retention dropped it is unknown whether they were replayed, or the last ones of their offsets.
    let is_less = match is_whole {
        true => rows_held < rows || stored_held < stored_offsets,
        false => all_rows < staying,
    };
    // If dead letters could not be read, it is unknown which rows were replayed.
    let is_known = held.dead_letters.unreadable == 0;
    let is_more = match is_whole && is_known {
        true => rows_held > rows || stored_held > stored_offsets,
        false => all_rows > staying,
    };
    let is_more = is_more || is_known && given_up(&offsets) > 0;
    if is_less && held.rows.unreadable == 0 {
        findings.add(TICKS, FindingKind::RowsMissing, rows_told);
    } else if is_more {
        findings.add(TICKS, FindingKind::RowsSurplus, rows_told);
    }
    let replayed_held = all_rows - rows_held;
    let replayed_told = || {
        let counted = format!("the counters say {replayed_rows} rows of {replayed_offsets} replayed dead letters");
        (position(), format!("{counted}, the table has {replayed_held} of {both_held}"))
    };
    let is_less = is_whole && (replayed_held < replayed_rows || both_held < replayed_offsets);
    if is_less && is_known && held.rows.unreadable == 0 {
        findings.add(TICKS, FindingKind::ReplayedMissing, replayed_told);
    } else if replayed_held > replayed_rows || both_held > replayed_offsets {
        findings.add(TICKS, FindingKind::ReplayedSurplus, replayed_told);
    }
    let dead_letters_detail =
        || (position(), format!("the counters say {dead}, the table has {dead_held}; {}", in_neither()));
    if dead_held < dead && held.dead_letters.unreadable == 0 {
        findings.add(DEAD_LETTERS, FindingKind::DeadLettersMissing, dead_letters_detail);
    } else if dead_held > dead {
        findings.add(DEAD_LETTERS, FindingKind::DeadLettersSurplus, dead_letters_detail);
    }
}

fn unsigned(range: &Range<i64>) -> Range<u64> {
    range.start.max(0).unsigned_abs()..range.end.max(0).unsigned_abs()
}

/// Describes offsets in neither table, which include missing rows, skipped messages and holes.
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
        // Offset 3 carries two ticks, 5 is dead, 6 and 7 are skipped, 9 is dead and beyond.
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

        // A range that was given up holds a dead letter whose ticks never came, and nothing else.
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
        // Offset 2 and one of the ticks of offset 3 are gone with their date.
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
