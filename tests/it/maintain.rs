//! Small files into large ones, and away with what no version needs: no row is lost, added or changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::Utc;
use tickhouse::ingest::{IngestSettings, IngestSpec, MaintainMode};
use tickhouse::lake::maintenance::{Compaction, CompactionLimits, CompactionStats, RewriteError, StopReason};
use tickhouse::lake::{
    DataFile, LakeMaintenance, LogMaintenance, MaintainedTable, ReplaceOutcome, Replacement, RetryPolicy, TableCommit,
    TableView,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Contents, Place, Tickhouse, Topic, assert_healthy, ingest, over_stores, spec, until_latest};

/// Messages of a commit.
const CRUMB: usize = 30;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Ticks of two dates, some late, some equal in time; every eleventh message is none.
fn payload(number: usize) -> String {
    if number % 11 == 10 {
        return format!("no tick {number}");
    }
    let late = if number.is_multiple_of(17) { 1_500 } else { 0 };
    let seconds = 84_000 + (number * 10 / 3 * 2).saturating_sub(late);
    let (date, time) = (5 + seconds / 86_400, seconds % 86_400);
    let at = format!("2026-01-{date:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60);
    format!(r#"{{"symbol":"S{}","ts":"{at}","close":{}.25,"volume":{number}}}"#, number % 7, number % 50)
}

/// A lake of many small commits, which nobody maintained.
async fn crumbs(place: &Place, messages: usize) -> Topic {
    let topic = Topic::new(2);
    let mut worker = ingest(unmaintained(&topic, place)).await;
    for start in (0..messages).step_by(CRUMB) {
        let payloads: Vec<String> = (start..start + CRUMB).map(payload).collect();
        topic.send(&payloads);
        worker.committed(start + CRUMB).await;
    }
    worker.stop().await;
    topic
}

fn unmaintained(topic: &Topic, place: &Place) -> IngestSpec {
    let spec = spec(topic, place);
    let settings = IngestSettings { flush_rows: CRUMB, maintain: MaintainMode::Off, ..spec.settings };
    IngestSpec { settings, ..spec }
}

/// Sizes at which a few crumbs are a file's worth.
fn tiny() -> CompactionLimits {
    CompactionLimits {
        done_bytes: 4_000,
        target_bytes: 6_000,
        job_bytes: 400_000,
        settled_ms: 0,
        ..CompactionLimits::default()
    }
}

async fn compact(
    table: &mut MaintainedTable,
    limits: CompactionLimits,
) -> Result<(StopReason, CompactionStats), RewriteError> {
    let mut all = CompactionStats::default();
    let (retry, stop) = (RetryPolicy::default(), CancellationToken::new());
    let ended = Compaction::new(limits).run(table, &retry, &stop, || i64::MAX, |done| all.add(done)).await?;
    Ok((ended, all))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_counters_and_offsets_are_the_same_after_it() {
    over_stores(async |place: Place| {
        let topic = crumbs(&place, 900).await;
        let before = Contents::of(&place).await;
        let files = before.lake.ticks().unwrap().files.len();
        assert!(files > 20, "{files} files");

        let mut maintenance = place.maintenance().await;
        for table in maintenance.tables() {
            let (ended, done) =
                compact(table, CompactionLimits { settled_ms: 0, ..CompactionLimits::default() }).await.unwrap();
            assert_eq!(ended, StopReason::Done);
            assert!(done.files_before > done.files_after && done.jobs > 0, "{}: {done:?}", table.name);
        }
        let after = Contents::of(&place).await;
        assert_eq!(after.lake.ticks().unwrap().files.len(), 2, "one of each date");
        assert_eq!(after.lake.dead_letters().unwrap().files.len(), 1);
        assert_eq!((after.rows, after.letters, after.counters), (before.rows, before.letters, before.counters));
        assert_healthy(&place, &topic);
        let (ended, done) = compact(&mut maintenance.tables()[0], CompactionLimits::default()).await.unwrap();
        assert_eq!((ended, done), (StopReason::Done, CompactionStats::default()), "nothing is left to do");

        // Ingest goes on where it was, late rows and all.
        let more: Vec<String> = (300..420).map(payload).collect();
        topic.send(&more);
        until_latest(unmaintained(&topic, &place)).await.unwrap();
        assert_healthy(&place, &topic);
        let (_, done) =
            compact(&mut maintenance.tables()[0], CompactionLimits { settled_ms: 0, ..CompactionLimits::default() })
                .await
                .unwrap();
        assert!(done.jobs > 0);
        assert_eq!(Contents::of(&place).await.lake.ticks().unwrap().files.len(), 2);
        assert_healthy(&place, &topic);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_files_are_open_as_the_memory_is_enough_for() {
    let place = Place::folder();
    let topic = crumbs(&place, 600).await;
    let before = Contents::of(&place).await;
    let files = before.lake.ticks().unwrap().files.len() as u64;
    let mut maintenance = place.maintenance().await;
    let limits = |memory| CompactionLimits { settled_ms: 0, memory, ..CompactionLimits::default() };

    let (ended, done) = compact(&mut maintenance.tables()[0], limits(100)).await.unwrap();
    assert_eq!((ended, done.jobs), (StopReason::Done, 0), "each row group is larger");
    assert_eq!(Contents::of(&place).await.lake.ticks().unwrap().files.len() as u64, files);

    let (ended, done) = compact(&mut maintenance.tables()[0], limits(1 << 20)).await.unwrap();
    assert_eq!(ended, StopReason::Done);
    assert!(done.jobs >= files / 2 && done.files_before == done.jobs * 2, "{done:?}");
    let after = Contents::of(&place).await;
    assert_eq!(after.lake.ticks().unwrap().files.len(), 2, "one of each date");
    assert_eq!((after.rows, after.counters), (before.rows, before.counters));
    assert_healthy(&place, &topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_dates_become_files_that_do_not_overlap_in_time() {
    let place = Place::folder();
    let topic = crumbs(&place, 1_500).await;
    let before = Contents::of(&place).await;
    let mut maintenance = place.maintenance().await;
    let (ended, _) = compact(&mut maintenance.tables()[0], tiny()).await.unwrap();
    assert_eq!(ended, StopReason::Done);
    let after = Contents::of(&place).await;
    assert_eq!(after.rows, before.rows);
    let view = after.lake.ticks().unwrap();
    let mut spans: Vec<(i32, String, String)> = view.files.iter().map(span).collect();
    spans.sort();
    assert!(spans.len() > 3, "{spans:?}");
    for pair in spans.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[0].2 < pair[1].1, "{pair:?}");
    }
    assert_healthy(&place, &topic);
}

/// Date, and first and last time by the statistics.
fn span(file: &DataFile) -> (i32, String, String) {
    let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref().unwrap()).unwrap();
    let time = |side: &str| stats[side]["ts"].as_str().unwrap().to_owned();
    (file.partition_value, time("minValues"), time("maxValues"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_maintainers_one_commits() {
    over_stores(async |place: Place| {
        let topic = crumbs(&place, 900).await;
        let before = Contents::of(&place).await;
        let (mut one, mut other) = (place.maintenance().await, place.maintenance().await);
        let limits = || CompactionLimits { settled_ms: 0, job_files: 4, ..CompactionLimits::default() };
        let ends = tokio::join!(compact(&mut one.tables()[0], limits()), compact(&mut other.tables()[0], limits()));
        let ends = [ends.0.unwrap().0, ends.1.unwrap().0];
        assert!(ends.contains(&StopReason::Done), "{ends:?}");
        let after = Contents::of(&place).await;
        assert_eq!((after.rows, after.counters), (before.rows, before.counters));
        assert_healthy(&place, &topic);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_somebody_else_took_are_not_replaced() {
    let place = Place::folder();
    crumbs(&place, 300).await;
    let (mut one, mut other) = (place.maintenance().await, place.maintenance().await);
    let table = &mut one.tables()[0];
    let (base, view) = (table.maintenance_base().await.unwrap(), table.files().unwrap());
    let (ended, _) = compact(&mut other.tables()[0], CompactionLimits { settled_ms: 0, ..CompactionLimits::default() })
        .await
        .unwrap();
    assert_eq!(ended, StopReason::Done);
    let before = Contents::of(&place).await;
    let replaced = take_out(table, base, &view, &view.files[..1]).await;
    assert_eq!(replaced, ReplaceOutcome::Conflict);
    assert_eq!(Contents::of(&place).await.rows, before.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tool_that_takes_files_out_ends_a_plan() {
    let place = Place::folder();
    crumbs(&place, 300).await;
    let mut maintenance = place.maintenance().await;
    let table = &mut maintenance.tables()[0];
    let (base, view) = (table.maintenance_base().await.unwrap(), table.files().unwrap());
    // As Spark's DELETE, between two jobs of one plan.
    let removed =
        serde_json::json!({"path": view.files[5].path.to_string(), "dataChange": true, "deletionTimestamp": 1});
    let commit = folder(&place).join(format!("_delta_log/{:020}.json", table.version() + 1));
    std::fs::write(commit, serde_json::json!({"remove": removed}).to_string()).unwrap();
    let replaced = take_out(table, base, &view, &view.files[..1]).await;
    assert_eq!(replaced, ReplaceOutcome::Conflict);
}

async fn take_out(
    table: &mut MaintainedTable,
    base: tickhouse::lake::MaintenanceBase,
    view: &TableView,
    removed: &[DataFile],
) -> ReplaceOutcome {
    let replacement = Replacement {
        base,
        removed,
        added: &[],
        partition_column: &view.partition_column,
        expired: None,
        market_zone: None,
        now_ms: 0,
    };
    table.replace(&replacement, &RetryPolicy::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_ingest_in_between_do_not_matter() {
    let place = Place::folder();
    let topic = crumbs(&place, 300).await;
    let mut maintenance = place.maintenance().await;
    let table = &mut maintenance.tables()[0];
    let (base, view) = (table.maintenance_base().await.unwrap(), table.files().unwrap());
    let more: Vec<String> = (300..400).map(payload).collect();
    topic.send(&more);
    until_latest(unmaintained(&topic, &place)).await.unwrap();
    let before = Contents::of(&place).await;
    let replaced = take_out(table, base, &view, &view.files[..1]).await;
    assert!(matches!(replaced, ReplaceOutcome::Committed { .. }), "{replaced:?}");
    let after = Contents::of(&place).await;
    let gone = view.files[0].rows.unwrap() as usize;
    assert_eq!(after.rows.len(), before.rows.len() - gone);
    assert_eq!(after.counters, before.counters, "the newest commit tells the state, whoever made it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_compacts_what_it_writes() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let spec = IngestSpec {
            settings: IngestSettings { flush_interval: Duration::from_millis(5), ..spec(&topic, &place).settings },
            ..spec(&topic, &place)
        };
        let mut worker = ingest(spec).await;
        let mut lake = place.lake().await;
        let mut sent = 0;
        // Looked at every 32 commits; a tier of 8 files is worth a job.
        let (files, written) = loop {
            for _ in 0..32 {
                let payloads: Vec<String> = (sent..sent + 5).map(payload).collect();
                topic.send(&payloads);
                sent += payloads.len();
                worker.committed(sent).await;
            }
            lake.refresh().await.unwrap();
            let history = lake.ticks_history(usize::MAX).await.unwrap();
            let compacts = |commit: &&TableCommit| commit.operation.as_deref() == Some("OPTIMIZE");
            if history.iter().any(|commit| compacts(&commit)) {
                let written = history.iter().filter(|commit| !compacts(commit));
                // The history goes on where the refresh ended.
                lake.refresh().await.unwrap();
                break (
                    lake.ticks().unwrap().files.len() as u64,
                    written.map(|commit| commit.files_added).sum::<u64>(),
                );
            }
            assert!(sent < 20_000, "no compaction in {} commits", lake.version());
        };
        worker.stop().await;
        assert!(files < written, "{files} of {written} files are left");
        assert_healthy(&place, &topic);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_stop_it_and_stay() {
    let place = Place::folder();
    crumbs(&place, 300).await;
    let view = place.lake().await.ticks().unwrap();
    let path = folder(&place).join(view.files[3].path.as_ref());
    let whole = std::fs::read(&path).unwrap();
    for damage in [&whole[..whole.len() / 2], &[]] {
        std::fs::write(&path, damage).unwrap();
        let mut maintenance = place.maintenance().await;
        let error =
            compact(&mut maintenance.tables()[0], CompactionLimits { settled_ms: 0, ..CompactionLimits::default() })
                .await
                .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(view.files[3].path.as_ref()) && text.contains("tickhouse verify"), "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    // Twice: a run that failed holds no lease.
    for _ in 0..2 {
        let finished = Tickhouse::new(&["maintain", "--settled-after", "0s"]).flags(&place.flags()).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("it is not in the store"), "{finished:?}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(Contents::of(&place).await.lake.ticks().unwrap().files.len(), view.files.len(), "as it was");
}

fn folder(place: &Place) -> PathBuf {
    Path::new(&place.table).join("ticks")
}

fn age(path: &Path, age: Duration) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let dates = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let dates = dates.filter(|path| path.is_dir() && !path.ends_with("_delta_log"));
    dates.flat_map(|date| std::fs::read_dir(date).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_checkpoints_are_thinned_and_every_version_is_read() {
    let place = Place::folder();
    let topic = crumbs(&place, 60).await;
    let checkpoint = |version: u64| folder(&place).join(format!("_delta_log/{version:020}.checkpoint.parquet"));
    let mut versions = Vec::new();
    let mut checkpoint_of = async |hours: u64, clean: bool| {
        topic.send(&(0..20).map(|nth| payload(60 + versions.len() * 20 + nth)).collect::<Vec<_>>());
        until_latest(unmaintained(&topic, &place)).await.unwrap();
        let mut maintenance = place.maintenance().await;
        maintenance.run(LogMaintenance { commits: 1, clean }, Utc::now()).await.unwrap();
        let version = maintenance.tables()[0].version();
        age(&checkpoint(version), Duration::from_secs(hours * 3600));
        versions.push(version);
        version
    };
    let mut newest = 0;
    for hours in [50, 49, 48, 30, 2] {
        newest = checkpoint_of(hours, false).await;
    }
    let rows_at = |version: u64| {
        let as_of = ["query", "SELECT COUNT(*) FROM ticks", "--format", "csv", "--as-of", &version.to_string()];
        let told = Tickhouse::new(&as_of).flags(&place.flags()).succeed();
        told.lines().last().unwrap().parse::<u64>().unwrap()
    };
    let before: Vec<u64> = (0..=newest).map(rows_at).collect();
    checkpoint_of(0, true).await;
    let left: Vec<bool> = versions.iter().map(|version| checkpoint(*version).exists()).collect();
    assert_eq!(left, [true, false, false, true, true, true], "the first, and those that were the newest within a day");
    assert_eq!((0..=newest).map(rows_at).collect::<Vec<_>>(), before);
    assert!(before[0] == 0 && before.is_sorted() && *before.last().unwrap() > 100, "{before:?}");
    assert_healthy(&place, &topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_no_version_needs_for_a_week_is_deleted() {
    let place = Place::folder();
    let topic = crumbs(&place, 300).await;
    let before = Contents::of(&place).await;
    let maintain = |flags: &[&str]| {
        Tickhouse::new(&["maintain", "--settled-after", "0s"])
            .flags(&place.flags())
            .flags(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
            .succeed()
    };
    maintain(&[]);
    let all = data_files(&folder(&place));
    // A killed writer's file; one that is being written; one of somebody else.
    let date = all[0].parent().unwrap();
    let (orphan, young, other) =
        (date.join("part-1.zstd.parquet"), date.join("part-2.zstd.parquet"), folder(&place).join("mine.parquet"));
    for path in [&orphan, &young, &other] {
        std::fs::write(path, "x").unwrap();
        age(path, 8 * DAY);
    }
    age(&young, 6 * DAY);
    all.iter().for_each(|path| age(path, 30 * DAY));

    let told = maintain(&["--dry-run"]);
    assert!(told.contains("ticks,would delete,1,1"), "{told}");
    assert!(orphan.exists());
    // What was compacted away today is still read by whoever reads yesterday's version.
    let told = maintain(&[]);
    assert!(told.contains("ticks,deleted,1,1"), "{told}");
    assert!(!orphan.exists() && young.exists() && other.exists());
    assert_eq!(data_files(&folder(&place)).len(), all.len() + 1);
    assert_eq!(Contents::of(&place).await.rows, before.rows);

    let finished = Tickhouse::new(&["maintain", "--delete-after", "1h"]).flags(&place.flags()).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("1d"), "{finished:?}");
    assert_healthy(&place, &topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_by_a_log_that_is_damaged() {
    let place = Place::folder();
    crumbs(&place, 300).await;
    let orphan = data_files(&folder(&place))[0].parent().unwrap().join("part-1.zstd.parquet");
    std::fs::write(&orphan, "x").unwrap();
    age(&orphan, 30 * DAY);
    let mut maintenance = place.maintenance().await;
    std::fs::remove_file(folder(&place).join("_delta_log/00000000000000000002.json")).unwrap();
    let error = maintenance.unreferenced(chrono::Utc::now()).await.unwrap_err().to_string();
    assert!(error.contains("tickhouse verify"), "{error}");
    assert!(orphan.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_spares_the_same_work() {
    over_stores(async |place: Place| {
        crumbs(&place, 100).await;
        let maintenance = place.maintenance().await;
        assert_eq!(maintenance.lease("one", LakeMaintenance::LEASE).await.unwrap(), None);
        assert_eq!(maintenance.lease("one", LakeMaintenance::LEASE).await.unwrap(), None);
        assert!(maintenance.lease("other", LakeMaintenance::LEASE).await.unwrap().is_some());
        let finished = Tickhouse::new(&["maintain"]).flags(&place.flags()).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("--ignore-lease"), "{finished:?}");
        let told = Tickhouse::new(&["maintain", "--ignore-lease"]).flags(&place.flags()).succeed();
        assert!(told.contains("ticks,compacted,"), "{told}");
        assert_eq!(maintenance.lease("one", Duration::ZERO).await.unwrap(), None);
        assert_eq!(maintenance.lease("other", LakeMaintenance::LEASE).await.unwrap(), None);
        assert_eq!(maintenance.lease("other", Duration::ZERO).await.unwrap(), None);
        // By a clock that was far ahead.
        assert_eq!(maintenance.lease("one", DAY).await.unwrap(), None);
        assert_eq!(maintenance.lease("other", Duration::ZERO).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing() {
    let place = Place::folder();
    crumbs(&place, 90).await;
    let before = place.lake().await.versions();
    let told = Tickhouse::new(&["maintain", "--dry-run", "--settled-after", "0s"]).flags(&place.flags()).succeed();
    assert!(told.starts_with("table,what,files,bytes,into_files,into_bytes\nticks,would compact,"), "{told}");
    assert_eq!(place.lake().await.versions(), before);
    assert!(!Path::new(&place.table).join("_tickhouse/maintain.lease").exists());
}
