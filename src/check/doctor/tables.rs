//! Checks that the logs are complete, that the properties match the configuration, and that the files exist.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{TimeDelta, Utc};
use object_store::path::Path;

use super::check::DoctorCheck;
use super::kafka_times;
use super::repair::Repair;
use super::settings::{DoctorSettings, ExpectedProperties};
use crate::decode::InputSettings;
use crate::lake::{
    Audit, AuditedTable, INPUT, InputChange, LakeError, ListedFile, LogDamage, LogProblem, LoggedFile, LoggedVersion,
    MARKET_ZONE, PARTITION_BY, SIGNALS, input_changes,
};

const TICKS: &str = "ticks";
const DEAD_LETTERS: &str = "dead_letters";

/// An unreferenced file this old doesn't belong to a pending commit.
const ORPHANED: TimeDelta = TimeDelta::hours(24);
/// Number of commits since the last checkpoint above which `doctor` warns: ten times the default checkpoint interval of
/// ingest. Every start reads all of these commits.
const COMMITS: u64 = 1_000;
/// Threshold for a small file: a flush at the default size writes more than this.
const SMALL_BYTES: u64 = 4 << 20;
/// Number of small files in one partition of the table above which `doctor` warns: a query opens each of them.
const SMALL_FILES: usize = 100;
const EXAMPLES: usize = 3;

const RESTORE_COMMIT: &str = "restore the commit from a backup; if it is the newest one and there is none, remove it: \
                              ingest reads its messages again, as far as Kafka still holds them";
const RESTORE_OLD_COMMIT: &str = "restore the commit from a backup: nothing after it can be read without it";
const RESTORE_WITH_CHECKPOINT: &str = "restore the commit from a backup; if there is none, and the commits before it \
    are there, remove it, the checkpoint of its version and _last_checkpoint: ingest \
                                       reads its messages again, as far as Kafka still holds them";
const RESTORE_DEAD_LETTERS: &str = "restore the commit from a backup: ticks has passed dead letters that were in it, \
    so they are not read from Kafka again";
const RESTORE_CHECKPOINT: &str = "remove it together with _last_checkpoint if the commits from the checkpoint before \
                                  it (or version 0) on are still there, else restore it from a backup";
const RESTORE_FILES: &str = "restore them from a backup or an older version of the objects; `tickhouse verify` says \
    what is lost with them";

/// The checks of the tables, with the repairs that `fix` can make.
#[derive(Default)]
pub(super) struct TableChecks {
    pub(super) checks: Vec<(DoctorCheck, Option<Repair>)>,
    pub(super) not_checked: Vec<String>,
    pub(super) ticks: Option<LoggedVersion>,
}

/// Never fails: an unreadable table is a failed check.
pub(super) async fn check(audit: &Audit, settings: &DoctorSettings) -> TableChecks {
    let mut found = TableChecks::default();
    let mut absent = Vec::new();
    for name in [TICKS, DEAD_LETTERS, SIGNALS] {
        match audit.table(name).await {
            Ok(Some(table)) => {
                check_table(name, &table, settings, &mut found).await;
                if name == TICKS {
                    found.ticks = table.state;
                }
            }
            Ok(None) if name == SIGNALS => {}
            Ok(None) => absent.push(name),
            Err(error @ LakeError::Protocol { .. }) => {
                let fix = "restore the table from before another tool upgraded it";
                found.checks.push((DoctorCheck::fail(format!("{name}/protocol"), error.to_string(), fix), None));
            }
            Err(error) => {
                let fix = "check the store, then run it again";
                found.checks.push((DoctorCheck::fail(format!("{name}/log"), error.to_string(), fix), None));
            }
        }
    }
    // A lake that is being created has only `ticks`, without a commit of ingest.
    let is_new = absent.contains(&DEAD_LETTERS) && found.ticks.as_ref().is_none_or(|ticks| ticks.counters.is_none());
    found.checks.extend(absent.into_iter().map(|name| {
        let check = match is_new {
            true => DoctorCheck::ok(format!("{name}/log"), "there is no such table yet: ingest creates it"),
            false => DoctorCheck::fail(
                format!("{name}/log"),
                "the table is gone",
                "restore its folder from a backup, or ingest into a new lake",
            ),
        };
        (check, None)
    }));
    match audit.temporary_files().await {
        Err(error) => found.not_checked.push(format!("temporary files: {error}")),
        Ok(files) if files.abandoned > 0 => {
            let detail = format!("{} of killed processes, {} bytes", files.abandoned, files.abandoned_bytes);
            let check =
                DoctorCheck::warn("temporary-files", detail, "delete files named .tmp-* that are older than a day");
            found.checks.push((check, Some(Repair::TemporaryFiles)));
        }
        Ok(files) if files.fresh > 0 => {
            let detail = format!("{} that may still be written", files.fresh);
            found.checks.push((DoctorCheck::ok("temporary-files", detail), None));
        }
        Ok(_) => {}
    }
    found
}

async fn check_table(name: &str, table: &AuditedTable, settings: &DoctorSettings, found: &mut TableChecks) {
    let problems = &table.problems;
    for problem in problems {
        let (fix, repair) = fix_for(name, table, problem, found.ticks.as_ref());
        let detail = format!("{}: {}", problem.location, problem.detail);
        found.checks.push((DoctorCheck::fail(format!("{name}/log"), detail, fix), repair));
    }
    let Some(state) = &table.state else {
        found.not_checked.push(format!("{name}: its log can't be followed"));
        return;
    };
    if problems.is_empty() {
        let detail = format!("complete up to version {}", state.version);
        found.checks.push((DoctorCheck::ok(format!("{name}/log"), detail), None));
    }
    if state.version < table.newest {
        found.not_checked.push(format!("{name}: what came after version {}", state.version));
    }
    if name == TICKS {
        found.checks.extend(properties(state, &settings.expected).into_iter().map(|check| (check, None)));
        // A damaged commit may have contained the counters.
        if problems.is_empty() {
            found.checks.extend(counters(state).map(|check| (check, None)));
        }
    }
    match table.listed_files().await {
        Ok(listed) => {
            found.checks.extend(files(name, state, &listed).into_iter().map(|check| (check, None)));
            // Unreadable commits reference files, too.
            if state.version == table.newest {
                found.checks.extend(orphans(name, state, &listed).map(|check| (check, None)));
            }
        }
        Err(error) => found.not_checked.push(format!("{name}: {error}")),
    }
    found.checks.extend(maintenance(name, table, state).into_iter().map(|check| (check, None)));
    if name != SIGNALS {
        found.checks.extend(kafka_times::check(name, table, state).await.map(|check| (check, None)));
    }
}

/// How to fix a problem of a log, and the repair if that is safe.
fn fix_for(
    name: &str,
    table: &AuditedTable,
    problem: &LogProblem,
    ticks: Option<&LoggedVersion>,
) -> (&'static str, Option<Repair>) {
    let state = table.state.as_ref();
    match problem.damage {
        LogDamage::EmptyCommit | LogDamage::TornCommit => {
            let is_newest = problem.location.ends_with(&format!("{:020}.json", table.newest));
            let is_last = is_newest && state.is_some_and(|state| state.version + 1 == table.newest);
            let has_checkpoint = is_newest && state.is_some_and(|state| state.version == table.newest);
            match (is_last, name) {
                (false, TICKS) if has_checkpoint => (RESTORE_WITH_CHECKPOINT, None),
                (false, _) => (RESTORE_OLD_COMMIT, None),
                (true, DEAD_LETTERS) if !has_all_dead_letters(state, ticks) => (RESTORE_DEAD_LETTERS, None),
                (true, _) => (RESTORE_COMMIT, Some(Repair::LastCommit(Box::new(table.clone())))),
            }
        }
        LogDamage::Hole => (RESTORE_OLD_COMMIT, None),
        LogDamage::CheckpointHint => {
            ("delete _last_checkpoint: readers then list the log", Some(Repair::Hint(Box::new(table.clone()))))
        }
        LogDamage::Checkpoint => {
            let version = problem.location.rsplit('/').next().and_then(|file| file.get(..20)?.parse::<u64>().ok());
            // The commits up to it were read, so readers get the same state without the checkpoint.
            let version = version.filter(|version| state.is_some_and(|state| state.version >= *version));
            (RESTORE_CHECKPOINT, version.map(|version| Repair::Checkpoint(Box::new(table.clone()), version)))
        }
        LogDamage::NoBeginning => ("restore the oldest commits or a checkpoint from a backup", None),
        LogDamage::PathTwice => ("find out which tool wrote to the table; lakes are written by tickhouse alone", None),
    }
}

/// Whether `dead_letters` has every dead letter that `ticks` counts even without its damaged commit, so that ingest
/// hasn't passed any dead letter of that commit. False if the counts can't prove it, because of dead letters ahead of
/// `ticks` or of earlier epochs.
fn has_all_dead_letters(dead_letters: Option<&LoggedVersion>, ticks: Option<&LoggedVersion>) -> bool {
    let (Some(dead_letters), Some(ticks)) = (dead_letters, ticks) else { return false };
    let rows = |file: &LoggedFile| {
        let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref()?).ok()?;
        stats.get("numRecords")?.as_i64()
    };
    let held: Option<i64> = dead_letters.files.iter().map(rows).sum();
    if !uncounted(ticks).is_empty() {
        return false;
    }
    let counted = ticks.counters.as_ref().map_or(0, |counters| counters.partitions.values().map(|one| one.dead).sum());
    let is_ahead = |partition: i32| dead_letters.next_offset(0, partition) > ticks.next_offset(0, partition);
    ticks.epoch() == 0 && !dead_letters.partitions(0).any(is_ahead) && held.is_some_and(|held| held >= counted)
}

/// Partitions that have a transaction and no counters.
fn uncounted(ticks: &LoggedVersion) -> Vec<i32> {
    let epoch = ticks.epoch();
    let counters = ticks.counters.as_ref().filter(|counters| counters.epoch == epoch);
    let is_counted = |partition: &i32| counters.is_some_and(|counters| counters.partitions.contains_key(partition));
    let mut uncounted: Vec<i32> = ticks.partitions(epoch).filter(|partition| !is_counted(partition)).collect();
    uncounted.sort_unstable();
    uncounted
}

fn counters(ticks: &LoggedVersion) -> Option<DoctorCheck> {
    let uncounted = uncounted(ticks);
    let detail = format!("no commit in the log has counters of partitions {uncounted:?}: another tool has cleaned it");
    let fix = "the next `tickhouse ingest` counts the tables again; what was skipped is unknown from then on";
    (!uncounted.is_empty()).then(|| DoctorCheck::warn("ticks/counters", detail, fix))
}

fn properties(ticks: &LoggedVersion, expected: &ExpectedProperties) -> Vec<DoctorCheck> {
    let property = |key: &str| ticks.properties.get(key).map(String::as_str);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, held: Option<&str>, configured: Option<&str>, fix: &str| {
        if let Some(configured) = configured
            && held != Some(configured)
        {
            let held = held.unwrap_or("none");
            let detail = format!("{what}: the lake has {held}, the configuration {configured}");
            wrong.push(DoctorCheck::fail("ticks/properties", detail, fix));
        }
    };
    compare("topic", ticks.topic(), expected.topic.as_deref(), "correct --topic or --table");
    let fixed = "it is fixed when a lake is made: correct the configuration, or use another --table";
    compare("market zone", property(MARKET_ZONE), expected.market_zone.as_deref(), fixed);
    let by = expected.partition_by.map(|by| by.to_string());
    compare("partition by", property(PARTITION_BY), by.as_deref(), fixed);
    let change = "ingest takes another input with --accept-input-change; rows that are stored stay as they are";
    for InputChange { key, in_lake, configured } in
        expected.input.as_deref().map(|input| input_changes(property(INPUT).unwrap_or("{}"), input)).unwrap_or_default()
    {
        let (held, configured) = (in_lake.unwrap_or_default(), configured.unwrap_or_else(|| "none".to_owned()));
        compare(&key, (!held.is_empty()).then_some(held.as_str()), Some(&configured), change);
    }
    if property(MARKET_ZONE).is_none_or(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
        let detail = format!("{MARKET_ZONE} is {}", property(MARKET_ZONE).unwrap_or("missing"));
        wrong.push(DoctorCheck::fail("ticks/properties", detail, "was the table made by a newer tickhouse?"));
    }
    if let Err(error) = serde_json::from_str::<InputSettings>(property(INPUT).unwrap_or("missing")) {
        let detail = format!("{INPUT} can't be read: {error}");
        wrong.push(DoctorCheck::fail("ticks/properties", detail, "was the table made by a newer tickhouse?"));
    }
    if wrong.is_empty() {
        let topic = ticks.topic().unwrap_or("none");
        wrong.push(DoctorCheck::ok("ticks/properties", format!("topic {topic}, epoch {}", ticks.epoch())));
    }
    wrong
}

fn files(name: &str, state: &LoggedVersion, listed: &[ListedFile]) -> Vec<DoctorCheck> {
    let stored: HashMap<&Path, u64> = listed.iter().map(|file| (&file.path, file.bytes)).collect();
    let missing: Vec<&LoggedFile> = state.files.iter().filter(|file| !stored.contains_key(&file.path)).collect();
    let wrong = |file: &&LoggedFile| stored.get(&file.path).is_some_and(|bytes| *bytes != file.bytes);
    let wrong: Vec<&LoggedFile> = state.files.iter().filter(wrong).collect();
    let mut checks = Vec::new();
    for (files, what) in [(&missing, "missing"), (&wrong, "of another size than the log says")] {
        if let Some(first) = examples(files) {
            let detail = format!("{} of {} files are {what}, as {first}", files.len(), state.files.len());
            checks.push(DoctorCheck::fail(format!("{name}/files"), detail, RESTORE_FILES));
        }
    }
    if checks.is_empty() {
        let bytes: u64 = state.files.iter().map(|file| file.bytes).sum();
        checks.push(DoctorCheck::ok(format!("{name}/files"), format!("{} files, {bytes} bytes", state.files.len())));
    }
    checks
}

fn examples(files: &[&LoggedFile]) -> Option<String> {
    let paths: Vec<&str> = files.iter().take(EXAMPLES).map(|file| file.path.as_ref()).collect();
    (!paths.is_empty()).then(|| paths.join(", "))
}

/// Checks for files that no version in the log references, such as those of killed processes.
fn orphans(name: &str, state: &LoggedVersion, listed: &[ListedFile]) -> Option<DoctorCheck> {
    let active: HashSet<&Path> = state.files.iter().map(|file| &file.path).collect();
    let is_orphan = |file: &&ListedFile| !active.contains(&file.path) && !state.removed.contains_key(&file.path);
    let now = Utc::now();
    let (old, recent): (Vec<&ListedFile>, Vec<&ListedFile>) =
        listed.iter().filter(is_orphan).partition(|file| now - file.modified >= ORPHANED);
    let bytes: u64 = old.iter().map(|file| file.bytes).sum();
    let check = format!("{name}/orphans");
    match (old.iter().map(|file| file.modified).min(), recent.len()) {
        (Some(oldest), _) => {
            let days = (now - oldest).num_days();
            let detail =
                format!("{} files that no version names, {bytes} bytes, the oldest of {days} days ago", old.len());
            Some(DoctorCheck::warn(
                check,
                detail,
                "they only take room; `tickhouse maintain` deletes data files of tickhouse when they are 7 days old",
            ))
        }
        (None, 0) => None,
        (None, recent) => Some(DoctorCheck::ok(
            check,
            format!("{recent} files of less than a day that no version references: they may be about to be committed"),
        )),
    }
}

fn maintenance(name: &str, table: &AuditedTable, state: &LoggedVersion) -> Option<DoctorCheck> {
    let mut small: BTreeMap<Option<i32>, usize> = BTreeMap::new();
    for file in state.files.iter().filter(|file| file.bytes < SMALL_BYTES) {
        *small.entry(file.partition_value).or_default() += 1;
    }
    let crowded: Vec<usize> = small.into_values().filter(|files| *files > SMALL_FILES).collect();
    let mut reasons = Vec::new();
    if table.commits > COMMITS {
        reasons.push(format!("{} commits since the last checkpoint", table.commits));
    }
    if !crowded.is_empty() {
        let files: usize = crowded.iter().sum();
        reasons.push(format!("{files} small files in {} partitions of the table", crowded.len()));
    }
    let fix = "`tickhouse maintain` writes a checkpoint and puts small files together; ingest writes checkpoints with \
               --maintain checkpoint";
    (!reasons.is_empty()).then(|| DoctorCheck::warn(format!("{name}/upkeep"), reasons.join("; "), fix))
}
