//! Checkpoints that newer ones replaced: each names every file that left the table within a week, so with a commit every
//! few seconds a week of them would be larger than the data.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::error::LakeError;
use super::log_file::{LOG, versioned};
use super::store::delete_all;
use super::table::Table;

/// Commits between two that stay, for readers of older versions.
const KEPT_EVERY: u64 = 1_000;
/// Ending of a checkpoint in one file, behind its version; others are other writers', and stay.
const SINGLE: &str = ".checkpoint.parquet";

/// Deletes those that were written within `times`, but for one of every [`KEPT_EVERY`] commits, the newest, and the one
/// that the hint `named`. Every version stays readable, from a checkpoint further back.
///
/// # Errors
/// The store can't be listed, or refuses to delete.
pub(super) async fn thin_checkpoints(
    table: &Table,
    times: Range<DateTime<Utc>>,
    named: Option<u64>,
) -> Result<usize, LakeError> {
    let failed = |error: object_store::Error| LakeError::store("thin the checkpoints", &table.name, &error);
    let (mut commits, mut checkpoints) = (BTreeSet::new(), BTreeMap::new());
    let mut listed = table.store.list(Some(&Path::from(LOG)));
    while let Some(file) = listed.try_next().await.map_err(failed)? {
        // What is in a folder below is no part of the log.
        match versioned(&file.location).filter(|_| file.location.parts_count() == 2) {
            Some((version, ".json")) => drop(commits.insert(version)),
            Some((version, SINGLE)) => drop(checkpoints.insert(version, file.last_modified)),
            _ => {}
        }
    }
    let replaced = replaced(&checkpoints, &commits, &times, named);
    let files = replaced.into_iter().map(|version| Ok(Path::from_iter([LOG, &format!("{version:020}{SINGLE}")])));
    delete_all(&table.store, files.collect()).await.map_err(failed)
}

/// Versions of those that may go: all commits from one that stays are there.
fn replaced(
    checkpoints: &BTreeMap<u64, DateTime<Utc>>,
    commits: &BTreeSet<u64>,
    times: &Range<DateTime<Utc>>,
    named: Option<u64>,
) -> Vec<u64> {
    let newest = checkpoints.last_key_value().map(|(version, _)| *version);
    let mut kept: Option<u64> = None;
    let mut replaced = Vec::new();
    for (version, written) in checkpoints {
        let is_near = |kept: u64| {
            let between = kept + 1..=*version;
            *version < kept + KEPT_EVERY && commits.range(between.clone()).count() == between.count()
        };
        let may_go = times.contains(written) && Some(*version) != newest && Some(*version) != named;
        if may_go && kept.is_some_and(is_near) {
            replaced.push(*version);
        } else {
            kept = Some(*version);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const OLD: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn kept(checkpoints: &[(u64, DateTime<Utc>)], commits: &[u64], named: u64) -> Vec<u64> {
        let checkpoints: BTreeMap<u64, DateTime<Utc>> = checkpoints.iter().copied().collect();
        let times = OLD..OLD + TimeDelta::days(1);
        let gone = replaced(&checkpoints, &commits.iter().copied().collect(), &times, Some(named));
        checkpoints.into_keys().filter(|version| !gone.contains(version)).collect()
    }

    #[test]
    fn one_of_every_thousand_commits_and_the_newest_stay() {
        let all: Vec<_> = (1..=25).map(|nth| (nth * 100, OLD)).collect();
        let commits: Vec<u64> = (101..=2_500).collect();
        assert_eq!(kept(&[], &[], 0), [0_u64; 0]);
        assert_eq!(kept(&all, &commits, 2_500), [100, 1_100, 2_100, 2_500]);
        let far: Vec<_> = (1..=3).map(|nth| (nth * 1_000, OLD)).collect();
        assert_eq!(kept(&far, &(1..=3_000).collect::<Vec<_>>(), 3_000), [1_000, 2_000, 3_000]);
    }

    #[test]
    fn what_was_written_at_another_time_or_is_named_stays() {
        let young = OLD + TimeDelta::days(1);
        let before = OLD - TimeDelta::seconds(1);
        let all = [(10, before), (20, before), (30, OLD), (40, OLD), (50, OLD), (60, young), (70, young)];
        assert_eq!(kept(&all, &(1..=70).collect::<Vec<_>>(), 40), [10, 20, 40, 60, 70]);
    }

    #[test]
    fn one_that_a_version_needs_whose_commits_are_gone_stays() {
        let all = [(10, OLD), (20, OLD), (30, OLD), (40, OLD)];
        // Another writer's checkpoint at 10 outlived the clean-up of the log up to 20.
        assert_eq!(kept(&all, &(20..=40).collect::<Vec<_>>(), 40), [10, 20, 40]);
    }
}
