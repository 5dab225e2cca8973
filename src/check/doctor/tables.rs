//! Whether the logs are whole, the properties those of the configuration, and the files there.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{TimeDelta, Utc};
use object_store::path::Path;

use super::check::Check;
use super::kafka_times;
use super::mend::Mend;
use super::settings::{DoctorSettings, Expected};
use crate::decode::InputSettings;
use crate::lake::{
    Audit, AuditedTable, INPUT, InputChange, LakeError, ListedFile, LogDamage, LogProblem, LoggedFile, LoggedVersion,
    MARKET_ZONE, PARTITION_BY, SIGNALS, input_changes,
};

const TICKS: &str = "ticks";
const DEAD_LETTERS: &str = "dead_letters";

/// A file this old that no table names belongs to no commit that is being made.
const ORPHANED: TimeDelta = TimeDelta::hours(24);
/// Ten checkpoints of ingest's default; every start reads the commits since the last one.
const COMMITS: u64 = 1_000;
/// A file below this holds less than a flush at the default size does.
const SMALL_BYTES: u64 = 4 << 20;
/// Small files of one partition of the table, each of which a query opens.
const SMALL_FILES: usize = 100;
const EXAMPLES: usize = 3;

const RESTORE_COMMIT: &str = "restore the commit from a backup; if it is the newest one and there is none, move it away: \
                              ingest reads its messages again, as far as Kafka still holds them";
const RESTORE_OLD_COMMIT: &str = "restore the commit from a backup: nothing after it can be read without it";
const RESTORE_WITH_CHECKPOINT: &str = "restore the commit from a backup; if there is none, and the commits before it are \
                                       there, move it, the checkpoint of its version and _last_checkpoint away: ingest \
                                       reads its messages again, as far as Kafka still holds them";
const RESTORE_LETTERS: &str = "restore the commit from a backup: ticks has passed dead letters that were in it, so they \
                               are not read from Kafka again";
const RESTORE_CHECKPOINT: &str = "move it away together with _last_checkpoint if the commits from the checkpoint before \
                                  it (or version 0) on are still there, else restore it from a backup";
const RESTORE_FILES: &str = "restore them from a backup or an older version of the objects; `tickhouse verify` tells what \
                             is lost with them";

/// What was found of the tables, with what `fix` can do about it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) checks: Vec<(Check, Option<Mend>)>,
    pub(super) not_checked: Vec<String>,
    pub(super) ticks: Option<LoggedVersion>,
}

/// Never fails: what can't be read is a finding.
pub(super) async fn check(audit: &Audit, settings: &DoctorSettings) -> Found {
    let mut found = Found::default();
    let mut absent = Vec::new();
    for name in [TICKS, DEAD_LETTERS, SIGNALS] {
        match audit.table(name).await {
            Ok(Some(table)) => {
                one(name, &table, settings, &mut found).await;
                if name == TICKS {
                    found.ticks = table.state;
                }
            }
            Ok(None) if name == SIGNALS => {}
            Ok(None) => absent.push(name),
            Err(error @ LakeError::Protocol { .. }) => {
                let fix = "restore the table from before another tool upgraded it";
                found.checks.push((Check::fail(format!("{name}/protocol"), error.to_string(), fix), None));
            }
            Err(error) => {
                let fix = "look at the store, then run it again";
                found.checks.push((Check::fail(format!("{name}/log"), error.to_string(), fix), None));
            }
        }
    }
    // A lake that is being made has `ticks` alone, without a commit of ingest.
    let is_new = absent.contains(&DEAD_LETTERS) && found.ticks.as_ref().is_none_or(|ticks| ticks.counters.is_none());
    found.checks.extend(absent.into_iter().map(|name| {
        let check = match is_new {
            true => Check::ok(format!("{name}/log"), "there is no such table yet: ingest makes it"),
            false => Check::fail(
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
            let check = Check::warn("temporary-files", detail, "delete files named .tmp-* that are older than a day");
            found.checks.push((check, Some(Mend::TemporaryFiles)));
        }
        Ok(files) if files.fresh > 0 => {
            let detail = format!("{} that may still be written", files.fresh);
            found.checks.push((Check::ok("temporary-files", detail), None));
        }
        Ok(_) => {}
    }
    found
}

async fn one(name: &str, table: &AuditedTable, settings: &DoctorSettings, found: &mut Found) {
    let problems = &table.problems;
    for problem in problems {
        let (fix, mend) = remedy(name, table, problem, found.ticks.as_ref());
        let detail = format!("{}: {}", problem.place, problem.detail);
        found.checks.push((Check::fail(format!("{name}/log"), detail, fix), mend));
    }
    let Some(state) = &table.state else {
        found.not_checked.push(format!("{name}: its log can't be followed"));
        return;
    };
    if problems.is_empty() {
        let detail = format!("whole up to version {}", state.version);
        found.checks.push((Check::ok(format!("{name}/log"), detail), None));
    }
    if state.version < table.newest {
        found.not_checked.push(format!("{name}: what came after version {}", state.version));
    }
    if name == TICKS {
        found.checks.extend(properties(state, &settings.expected).into_iter().map(|check| (check, None)));
        // A damaged commit may be the one that has them.
        if problems.is_empty() {
            found.checks.extend(counters(state).map(|check| (check, None)));
        }
    }
    match table.listed().await {
        Ok(listed) => {
            found.checks.extend(files(name, state, &listed).into_iter().map(|check| (check, None)));
            // Commits that can't be read name files, too.
            if state.version == table.newest {
                found.checks.extend(orphans(name, state, &listed).map(|check| (check, None)));
            }
        }
        Err(error) => found.not_checked.push(format!("{name}: {error}")),
    }
    found.checks.extend(upkeep(name, table, state).into_iter().map(|check| (check, None)));
    if name != SIGNALS {
        found.checks.extend(kafka_times::check(name, table, state).await.map(|check| (check, None)));
    }
}

/// What to do about a problem of a log, and whether that is safe to do here.
fn remedy(
    name: &str,
    table: &AuditedTable,
    problem: &LogProblem,
    ticks: Option<&LoggedVersion>,
) -> (&'static str, Option<Mend>) {
    let state = table.state.as_ref();
    match problem.damage {
        LogDamage::EmptyCommit | LogDamage::TornCommit => {
            let is_newest = problem.place.ends_with(&format!("{:020}.json", table.newest));
            let is_last = is_newest && state.is_some_and(|state| state.version + 1 == table.newest);
            let has_checkpoint = is_newest && state.is_some_and(|state| state.version == table.newest);
            match (is_last, name) {
                (false, TICKS) if has_checkpoint => (RESTORE_WITH_CHECKPOINT, None),
                (false, _) => (RESTORE_OLD_COMMIT, None),
                (true, DEAD_LETTERS) if !has_all_letters(state, ticks) => (RESTORE_LETTERS, None),
                (true, _) => (RESTORE_COMMIT, Some(Mend::LastCommit(Box::new(table.clone())))),
            }
        }
        LogDamage::Hole => (RESTORE_OLD_COMMIT, None),
        LogDamage::CheckpointHint => {
            ("delete _last_checkpoint: readers then list the log", Some(Mend::Hint(Box::new(table.clone()))))
        }
        LogDamage::Checkpoint => {
            let version = problem.place.rsplit('/').next().and_then(|file| file.get(..20)?.parse::<u64>().ok());
            // The commits up to it were read, so readers come to the same state without it.
            let version = version.filter(|version| state.is_some_and(|state| state.version >= *version));
            (RESTORE_CHECKPOINT, version.map(|version| Mend::Checkpoint(Box::new(table.clone()), version)))
        }
        LogDamage::NoBeginning => ("restore the oldest commits or a checkpoint from a backup", None),
        LogDamage::PathTwice => ("find out which tool wrote to the table; lakes are written by tickhouse alone", None),
    }
}

/// Without its damaged commit `dead_letters` has every letter that `ticks` counts, so ingest has passed none that was in
/// it. With letters ahead of `ticks`, or of earlier epochs, the numbers don't tell that.
fn has_all_letters(letters: Option<&LoggedVersion>, ticks: Option<&LoggedVersion>) -> bool {
    let (Some(letters), Some(ticks)) = (letters, ticks) else { return false };
    let rows = |file: &LoggedFile| {
        let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref()?).ok()?;
        stats.get("numRecords")?.as_i64()
    };
    let held: Option<i64> = letters.files.iter().map(rows).sum();
    if !uncounted(ticks).is_empty() {
        return false;
    }
    let counted = ticks.counters.as_ref().map_or(0, |counters| counters.partitions.values().map(|one| one.dead).sum());
    let is_ahead = |partition: i32| letters.next_offset(0, partition) > ticks.next_offset(0, partition);
    ticks.epoch() == 0 && !letters.partitions(0).any(is_ahead) && held.is_some_and(|held| held >= counted)
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

fn counters(ticks: &LoggedVersion) -> Option<Check> {
    let uncounted = uncounted(ticks);
    let detail = format!("no commit in the log has counters of partitions {uncounted:?}: another tool has cleaned it");
    let fix = "the next `tickhouse ingest` counts the tables again; what was skipped is unknown from then on";
    (!uncounted.is_empty()).then(|| Check::warn("ticks/counters", detail, fix))
}

fn properties(ticks: &LoggedVersion, expected: &Expected) -> Vec<Check> {
    let property = |key: &str| ticks.properties.get(key).map(String::as_str);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, held: Option<&str>, configured: Option<&str>, fix: &str| {
        if let Some(configured) = configured
            && held != Some(configured)
        {
            let held = held.unwrap_or("none");
            let detail = format!("{what}: the lake has {held}, the configuration {configured}");
            wrong.push(Check::fail("ticks/properties", detail, fix));
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
        wrong.push(Check::fail("ticks/properties", detail, "was the table made by a newer tickhouse?"));
    }
    if let Err(error) = serde_json::from_str::<InputSettings>(property(INPUT).unwrap_or("missing")) {
        let detail = format!("{INPUT} can't be read: {error}");
        wrong.push(Check::fail("ticks/properties", detail, "was the table made by a newer tickhouse?"));
    }
    if wrong.is_empty() {
        let topic = ticks.topic().unwrap_or("none");
        wrong.push(Check::ok("ticks/properties", format!("topic {topic}, epoch {}", ticks.epoch())));
    }
    wrong
}

fn files(name: &str, state: &LoggedVersion, listed: &[ListedFile]) -> Vec<Check> {
    let stored: HashMap<&Path, u64> = listed.iter().map(|file| (&file.path, file.bytes)).collect();
    let missing: Vec<&LoggedFile> = state.files.iter().filter(|file| !stored.contains_key(&file.path)).collect();
    let wrong = |file: &&LoggedFile| stored.get(&file.path).is_some_and(|bytes| *bytes != file.bytes);
    let wrong: Vec<&LoggedFile> = state.files.iter().filter(wrong).collect();
    let mut checks = Vec::new();
    for (files, what) in [(&missing, "missing"), (&wrong, "of another size than the log says")] {
        if let Some(first) = examples(files) {
            let detail = format!("{} of {} files are {what}, as {first}", files.len(), state.files.len());
            checks.push(Check::fail(format!("{name}/files"), detail, RESTORE_FILES));
        }
    }
    if checks.is_empty() {
        let bytes: u64 = state.files.iter().map(|file| file.bytes).sum();
        checks.push(Check::ok(format!("{name}/files"), format!("{} files, {bytes} bytes", state.files.len())));
    }
    checks
}

fn examples(files: &[&LoggedFile]) -> Option<String> {
    let paths: Vec<&str> = files.iter().take(EXAMPLES).map(|file| file.path.as_ref()).collect();
    (!paths.is_empty()).then(|| paths.join(", "))
}

/// Files that no version in the log names: of commits that were never made, such as those of killed processes.
fn orphans(name: &str, state: &LoggedVersion, listed: &[ListedFile]) -> Option<Check> {
    let active: HashSet<&Path> = state.files.iter().map(|file| &file.path).collect();
    let is_orphan = |file: &&ListedFile| !active.contains(&file.path) && !state.removed.contains_key(&file.path);
    let now = Utc::now();
    let (old, young): (Vec<&ListedFile>, Vec<&ListedFile>) =
        listed.iter().filter(is_orphan).partition(|file| now - file.modified >= ORPHANED);
    let bytes: u64 = old.iter().map(|file| file.bytes).sum();
    let check = format!("{name}/orphans");
    match (old.iter().map(|file| file.modified).min(), young.len()) {
        (Some(oldest), _) => {
            let days = (now - oldest).num_days();
            let detail =
                format!("{} files that no version names, {bytes} bytes, the oldest of {days} days ago", old.len());
            Some(Check::warn(
                check,
                detail,
                "they only take room; `tickhouse maintain` deletes data files of tickhouse when they are 7 days old",
            ))
        }
        (None, 0) => None,
        (None, young) => Some(Check::ok(
            check,
            format!("{young} files of less than a day that no version names: they may be on their way"),
        )),
    }
}

fn upkeep(name: &str, table: &AuditedTable, state: &LoggedVersion) -> Option<Check> {
    let mut small: BTreeMap<Option<i32>, usize> = BTreeMap::new();
    for file in state.files.iter().filter(|file| file.bytes < SMALL_BYTES) {
        *small.entry(file.partition_value).or_default() += 1;
    }
    let crowded: Vec<usize> = small.into_values().filter(|files| *files > SMALL_FILES).collect();
    let mut told = Vec::new();
    if table.commits > COMMITS {
        told.push(format!("{} commits since the last checkpoint", table.commits));
    }
    if !crowded.is_empty() {
        let files: usize = crowded.iter().sum();
        told.push(format!("{files} small files in {} partitions of the table", crowded.len()));
    }
    let fix = "`tickhouse maintain` writes a checkpoint and puts small files together; ingest writes checkpoints with \
               --maintain checkpoint";
    (!told.is_empty()).then(|| Check::warn(format!("{name}/upkeep"), told.join("; "), fix))
}
