//! Checks that the counters of the newest commit match the tables.

mod partition;

use std::collections::BTreeMap;

use self::partition::{BothTables, check_partition};
use crate::check::verify::files::{Bounds, TableContents};
use crate::check::verify::finding::{FindingKind, Findings};
use crate::check::verify::logged::TICKS;
use crate::lake::{LoggedVersion, PartitionCounters};

/// Counters of the table's current epoch, by partition.
pub(super) fn counters_of(ticks: &LoggedVersion) -> Option<&BTreeMap<i32, PartitionCounters>> {
    ticks.counters.as_ref().filter(|counters| counters.epoch == ticks.epoch()).map(|counters| &counters.partitions)
}

/// The offsets that `ticks` may contain according to the counters. `dead_letters` may also contain offsets that `ticks`
/// hasn't reached: a crash between the two commits leaves them behind.
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

/// Describes the partitions whose counters can't explain why some offsets are in neither table.
pub(super) fn unknown(ticks: &LoggedVersion) -> impl Iterator<Item = String> {
    let unknown = counters_of(ticks).into_iter().flatten().filter(|(_, counters)| counters.unknown > 0);
    unknown.map(|(partition, counters)| {
        let (unknown, end) = (counters.unknown, counters.unplaced_end());
        format!(
            "partition {partition}: why {unknown} offsets below {end} are in neither table: the counters were lost, \
             and the tables counted again"
        )
    })
}

/// Compares the counters with the contents of the tables. If files are unreadable, a table may have fewer rows than the
/// counters.
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
