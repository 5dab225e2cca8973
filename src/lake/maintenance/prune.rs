//! Deletes checkpoints that newer ones supersede: each lists every file that was removed within a week, so with a
//! commit every few seconds a week of checkpoints would be larger than the data.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::log::table::Table;
use crate::lake::store::log_file::{CHECKPOINT, COMMIT, LOG, checkpoint_name, versioned};
use crate::lake::store::root::delete_all;

/// Maximum number of commits between two kept checkpoints, for readers of older versions.
const KEPT_COMMITS: u64 = 1_000;
/// Maximum time between two kept checkpoints: the clean-up of the log advances from one to the next.
const KEPT_TIME: TimeDelta = TimeDelta::days(1);

/// Deletes checkpoints that were written within `times` and superseded before its end, except for one in every
/// [`KEPT_COMMITS`] and every [`KEPT_TIME`], and the one that the hint `named`. Every version stays readable from an
/// older checkpoint.
///
/// # Errors
/// The store can't be listed, or refuses to delete.
pub(in crate::lake) async fn prune_checkpoints(
    table: &Table,
    times: Range<DateTime<Utc>>,
    named: u64,
) -> Result<usize, LakeError> {
    let failed = |error: object_store::Error| LakeError::store("prune the checkpoints", &table.name, &error);
    let (mut commits, mut checkpoints) = (BTreeSet::new(), BTreeMap::new());
    let mut listed = table.store.list(Some(&Path::from(LOG)));
    while let Some(file) = listed.try_next().await.map_err(failed)? {
        // Files in subfolders are not part of the log.
        match versioned(&file.location).filter(|_| file.location.parts_count() == 2) {
            Some((version, COMMIT)) => drop(commits.insert(version)),
            Some((version, CHECKPOINT)) => drop(checkpoints.insert(version, file.last_modified)),
            _ => {}
        }
    }
    let replaced = replaced(&checkpoints, &commits, &times, named);
    let files = replaced.into_iter().map(|version| Ok(Path::from_iter([LOG, &checkpoint_name(version)])));
    delete_all(&table.store, files.collect()).await.map_err(failed)
}

/// Versions of the checkpoints that may be deleted: all commits since an older kept one exist.
fn replaced(
    checkpoints: &BTreeMap<u64, DateTime<Utc>>,
    commits: &BTreeSet<u64>,
    times: &Range<DateTime<Utc>>,
    named: u64,
) -> Vec<u64> {
    let mut kept: Option<(u64, DateTime<Utc>)> = None;
    let mut replaced = Vec::new();
    let successors = checkpoints.values().skip(1).map(Some).chain([None]);
    for ((&version, &written), successor) in checkpoints.iter().zip(successors) {
        let is_near = |(kept, kept_written): (u64, DateTime<Utc>)| {
            let between = kept + 1..=version;
            version < kept + KEPT_COMMITS
                && written < kept_written + KEPT_TIME
                && commits.range(between.clone()).count() == between.count()
        };
        let was_replaced = successor.is_some_and(|replacing| *replacing < times.end);
        if was_replaced && written >= times.start && version != named && kept.is_some_and(is_near) {
            replaced.push(version);
        } else {
            kept = Some((version, written));
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const HOUR: TimeDelta = TimeDelta::hours(1);

    fn kept(checkpoints: &[(u64, DateTime<Utc>)], commits: &[u64], named: u64) -> Vec<u64> {
        let checkpoints: BTreeMap<u64, DateTime<Utc>> = checkpoints.iter().copied().collect();
        let times = OLD..OLD + HOUR * 24;
        let gone = replaced(&checkpoints, &commits.iter().copied().collect(), &times, named);
        checkpoints.into_keys().filter(|version| !gone.contains(version)).collect()
    }

    #[test]
    fn one_of_every_thousand_commits_and_the_newest_stay() {
        let all: Vec<_> = (1..=25).map(|nth| (nth * 100, OLD)).collect();
        let commits: Vec<u64> = (101..=2_500).collect();
        assert_eq!(kept(&[], &[], 0), [0_u64; 0]);
        assert_eq!(kept(&all, &commits, 0), [100, 1_100, 2_100, 2_500]);
        let far: Vec<_> = (1..=3).map(|nth| (nth * 1_000, OLD)).collect();
        assert_eq!(kept(&far, &(1..=3_000).collect::<Vec<_>>(), 3_000), [1_000, 2_000, 3_000]);
    }

    #[test]
    fn one_of_every_day_stays_for_the_clean_up_to_go_on_from() {
        let every_8_hours: Vec<_> = (0..9).map(|nth| (nth, OLD + HOUR * 8 * nth as i32 - HOUR * 48)).collect();
        let times = OLD - HOUR * 72..OLD + HOUR * 24;
        let checkpoints: BTreeMap<u64, DateTime<Utc>> = every_8_hours.into_iter().collect();
        let gone = replaced(&checkpoints, &(0..9).collect(), &times, 8);
        assert_eq!(gone, [1, 2, 4, 5, 7]);
    }

    #[test]
    fn one_that_was_the_newest_a_moment_ago_stays() {
        let all = [(10, OLD), (20, OLD + HOUR), (30, OLD + HOUR * 2), (40, OLD + HOUR * 25)];
        assert_eq!(kept(&all, &(1..=40).collect::<Vec<_>>(), 40), [10, 30, 40]);
    }

    #[test]
    fn what_was_written_before_or_is_named_stays() {
        let before = OLD - TimeDelta::seconds(1);
        let all = [(10, before), (20, before), (30, OLD), (40, OLD), (50, OLD), (60, OLD)];
        assert_eq!(kept(&all, &(1..=60).collect::<Vec<_>>(), 40), [10, 20, 40, 60]);
    }

    #[test]
    fn one_that_a_version_needs_whose_commits_are_gone_stays() {
        let all = [(10, OLD), (20, OLD), (30, OLD), (40, OLD)];
        // Another writer's checkpoint at 10 survived the clean-up of the log up to 20.
        assert_eq!(kept(&all, &(20..=40).collect::<Vec<_>>(), 40), [10, 20, 40]);
    }
}
