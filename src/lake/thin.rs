//! Checkpoints that newer ones replaced: each names every file that left the table within a week, so with a commit every
//! few seconds a week of them would be larger than the data.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use super::audit::VERSION_DIGITS;
use super::error::LakeError;
use super::hint::LOG;
use super::table::Table;

/// Commits between two that stay, for readers of older versions.
const KEPT_EVERY: u64 = 1_000;

/// Deletes those older than `before`, but for one of every [`KEPT_EVERY`] commits and the newest.
///
/// # Errors
/// The store can't be listed, or refuses to delete.
pub(super) async fn thin_checkpoints(table: &Table, before: DateTime<Utc>) -> Result<usize, LakeError> {
    let failed = |error: object_store::Error| LakeError::store("thin the checkpoints", &table.name, &error);
    let mut checkpoints: BTreeMap<u64, (DateTime<Utc>, Vec<Path>)> = BTreeMap::new();
    let mut listed = table.store.list(Some(&Path::from(LOG)));
    while let Some(file) = listed.try_next().await.map_err(failed)? {
        let name = file.location.filename().unwrap_or_default();
        let Some((version, _)) =
            name.split_at_checked(VERSION_DIGITS).filter(|(_, rest)| rest.starts_with(".checkpoint."))
        else {
            continue;
        };
        let Ok(version) = version.parse() else { continue };
        let (modified, parts) = checkpoints.entry(version).or_default();
        *modified = file.last_modified.max(*modified);
        parts.push(file.location);
    }
    let dated: Vec<(u64, DateTime<Utc>)> =
        checkpoints.iter().map(|(version, (modified, _))| (*version, *modified)).collect();
    let files: Vec<Path> = replaced(&dated, before)
        .filter_map(|version| checkpoints.remove(&version))
        .flat_map(|(_, parts)| parts)
        .collect();
    let mut deleted = table.store.delete_stream(stream::iter(files).map(Ok).boxed());
    let mut count = 0;
    while let Some(one) = deleted.next().await {
        match one {
            Ok(_) => count += 1,
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(count)
}

/// Of ascending versions those that may go.
fn replaced(checkpoints: &[(u64, DateTime<Utc>)], before: DateTime<Utc>) -> impl Iterator<Item = u64> {
    let newest = checkpoints.last().map(|(version, _)| *version);
    let mut kept: Option<u64> = None;
    checkpoints.iter().filter_map(move |(version, modified)| {
        let is_far = kept.is_none_or(|kept| *version >= kept + KEPT_EVERY);
        if is_far || *modified >= before || Some(*version) == newest {
            kept = Some(*version);
            return None;
        }
        Some(*version)
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn one_of_every_thousand_commits_the_young_and_the_newest_stay() {
        let (old, before) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::days(1));
        let of = |checkpoints: &[(u64, DateTime<Utc>)]| replaced(checkpoints, before).collect::<Vec<_>>();
        assert!(of(&[]).is_empty());
        let all: Vec<_> = (1..=25).map(|nth| (nth * 100, old)).collect();
        let gone = of(&all);
        let kept: Vec<u64> =
            all.iter().map(|(version, _)| *version).filter(|version| !gone.contains(version)).collect();
        assert_eq!(kept, [100, 1_100, 2_100, 2_500]);
        let young: Vec<_> = (1..=25).map(|nth| (nth * 100, if nth > 20 { before } else { old })).collect();
        assert_eq!(of(&young).len(), 18, "all up to 2,000 but 100 and 1,100");
        let far: Vec<_> = (1..=9).map(|nth| (nth * 2_000, old)).collect();
        assert!(of(&far).is_empty());
    }
}
