//! A year of commits in a few minutes: what maintenance keeps of files, log, memory and query time.
//!
//! `cargo bench --bench year -- --days 365 --commits 200 --folder target/year` writes a table as ingest does, a date
//! after the other, maintains it as ingest does, and prints a line every 30 dates as CSV; then one date of
//! `--last-day-commits`. Each date's files get the time stamps of that date, so that a week is a week to the clean-up.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where a test would")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tickhouse::ingest::{IngestBatch, IngestChunk, TickEncoder};
use tickhouse::lake::maintenance::{Compaction, CompactionLimits, StopReason};
use tickhouse::lake::{
    Advance, CommitNote, CommitOutcome, Lake, LakeMaintenance, LakeSpec, Location, LogMaintenance, RetryPolicy,
    StoreSettings,
};
use tickhouse::market::{Counts, OffsetRange, PartitionBy, Tick, TickColumns, TopicIdentity};
use tokio_util::sync::CancellationToken;

const SYMBOLS: usize = 120;
const DAY_MICROS: i64 = 86_400_000_000;
/// As ingest has them.
const CHECKPOINT_COMMITS: u64 = 100;
const COMPACTION_COMMITS: usize = 32;
const WEEK: TimeDelta = TimeDelta::days(7);
const REPORT_DAYS: usize = 30;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 365)]
    days: usize,
    #[arg(long, default_value_t = 200)]
    commits: usize,
    #[arg(long, default_value_t = 17_280)]
    last_day_commits: usize,
    #[arg(long, default_value_t = 240)]
    ticks_per_commit: usize,
    #[arg(long, default_value = "target/year")]
    folder: PathBuf,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

struct Year {
    args: Args,
    random: StdRng,
    names: Vec<String>,
    lake: Lake,
    maintenance: LakeMaintenance,
    encoder: TickEncoder,
    next_offset: i64,
    /// Real time: what is newer got its stamps from this run.
    begun: SystemTime,
}

impl Year {
    /// Ticks of a stretch of a date that begins at `start`.
    fn batch(&mut self, start: i64, span: i64) -> IngestBatch {
        let mut rows = TickColumns::default();
        let first = self.next_offset;
        for nth in 0..self.args.ticks_per_commit as i64 {
            let ts = start + span * nth / self.args.ticks_per_commit as i64;
            let tick = Tick {
                symbol: &self.names[self.random.random_range(0..SYMBOLS)],
                ts,
                open: None,
                high: None,
                low: None,
                close: f64::from(self.random.random_range(1_000..50_000u32)) / 100.0,
                volume: Some(f64::from(self.random.random_range(1..10_000u32))),
                trade_id: None,
                source: Some("simulate"),
            };
            rows.push(&tick, (ts / DAY_MICROS) as i32, self.next_offset, 0, Some(ts / 1_000));
            self.next_offset += 1;
        }
        let mut chunk = IngestChunk::empty(0, first, rows, start);
        chunk.range = OffsetRange::new(first, self.next_offset).unwrap();
        let mut batch = IngestBatch::default();
        batch.push(chunk).unwrap();
        batch
    }

    async fn commit(&mut self, start: i64, span: i64) {
        let first = self.next_offset;
        let batch = self.batch(start, span);
        let store = self.lake.ticks_store();
        let mut files = Vec::new();
        for encoded in self.encoder.encode(&batch).unwrap() {
            self.lake.put(&store, &encoded.file.path, Bytes::from(encoded.bytes)).await.unwrap();
            files.push(encoded.file);
        }
        let range = OffsetRange::new(first, self.next_offset).unwrap();
        let counts = Counts { stored_offsets: range.len(), rows: range.len(), ..Counts::default() };
        let advance = Advance { partition: 0, base: (first > 0).then_some(first), range, counts, leader_epoch: None };
        let outcome = self.lake.commit_ticks(&files, &[advance], &CommitNote::default()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
    }

    async fn compact(&mut self, now: DateTime<Utc>, is_settled: bool) {
        let limits = CompactionLimits {
            settled_ms: if is_settled { i64::MIN } else { i64::MAX },
            ..CompactionLimits::default()
        };
        let (retry, stop) = (RetryPolicy::default(), CancellationToken::new());
        for table in self.maintenance.tables() {
            let now = || now.timestamp_millis();
            let ended = Compaction::new(limits).run(table, &retry, &stop, now, |_| {}).await.unwrap();
            assert_eq!(ended, StopReason::Done);
        }
    }

    /// A date, as ingest writes and maintains it. `now` is when it ends.
    async fn day(&mut self, number: usize, commits: usize, now: DateTime<Utc>) {
        let start = now.timestamp_micros() / DAY_MICROS * DAY_MICROS;
        let span = DAY_MICROS / commits as i64;
        for nth in 0..commits {
            self.commit(start + span * nth as i64, span).await;
            if (nth + 1).is_multiple_of(COMPACTION_COMMITS) {
                let upkeep = LogMaintenance { commits: CHECKPOINT_COMMITS, clean: true };
                self.maintenance.run(upkeep, now).await.unwrap();
                self.compact(now, false).await;
            }
            if (nth + 1).is_multiple_of(5_000) {
                self.report(number, nth + 1);
            }
        }
        self.compact(now, true).await;
        stamp(&self.args.folder, self.begun, now.into());
        let files = self.maintenance.unreferenced(now - WEEK).await.unwrap();
        self.maintenance.delete(&files).await.unwrap();
    }

    fn report(&mut self, day: usize, commits: usize) {
        let table = self.args.folder.join("ticks");
        let log = files_below(&table.join("_delta_log"));
        let log_bytes: u64 = log.iter().map(|path| path.metadata().unwrap().len()).sum();
        let stored = files_below(&table).len() - log.len();
        let rss = std::fs::read_to_string("/proc/self/statm").unwrap();
        let rss_mib = rss.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 / 1024;
        let active = query(&self.args.folder, &["table", "files"], "").lines().count().saturating_sub(1);
        let all = timed(&self.args.folder, "SELECT count(*), sum(volume) FROM ticks");
        let one = timed(
            &self.args.folder,
            "SELECT symbol, max(close) FROM ticks WHERE trade_date >= (SELECT max(trade_date) FROM ticks) GROUP BY symbol",
        );
        println!(
            "{day},{commits},{},{active},{stored},{},{},{rss_mib},{all},{one}",
            self.lake.version(),
            log.len(),
            log_bytes >> 10
        );
    }
}

/// Milliseconds; the best of three, the start of the program included.
fn timed(folder: &Path, sql: &str) -> u128 {
    let once = || {
        let started = Instant::now();
        query(folder, &["query"], sql);
        started.elapsed().as_millis()
    };
    (0..3).map(|_| once()).min().unwrap()
}

fn query(folder: &Path, words: &[&str], sql: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickhouse"));
    command.args(words).arg("--table").arg(folder).args(["--format", "csv"]);
    if !sql.is_empty() {
        command.arg(sql);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Gives what this run wrote since the last call the time of its date.
fn stamp(folder: &Path, since: SystemTime, time: SystemTime) {
    for path in files_below(folder) {
        if path.metadata().unwrap().modified().unwrap() >= since {
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
    }
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let spec = LakeSpec {
        topic: "ticks".to_owned(),
        identity: TopicIdentity { cluster_id: "generated".to_owned(), topic_id: None },
        market_zone: "UTC".to_owned(),
        partition_by: PartitionBy::Day,
        input: r#"{"preset":"canonical"}"#.to_owned(),
        extras: Vec::new(),
        accept_input_change: false,
        must_exist: false,
    };
    std::fs::create_dir_all(&args.folder).unwrap();
    let location = Location::parse(args.folder.to_str().unwrap()).unwrap();
    let lake = Lake::open_or_create(&location, &StoreSettings::default(), &spec).await.unwrap();
    let maintenance = LakeMaintenance::open(&location, &StoreSettings::default()).await.unwrap();
    let mut year = Year {
        random: StdRng::seed_from_u64(1),
        names: (0..SYMBOLS).map(|n| format!("SYM{n:03}")).collect(),
        lake,
        maintenance,
        encoder: TickEncoder::new(0, PartitionBy::Day, &[]),
        next_offset: 0,
        begun: SystemTime::now() - Duration::from_secs(60),
        args,
    };
    let (today, days, commits) = (Utc::now(), year.args.days, year.args.commits);
    println!("date,commits_of_date,version,active_files,stored_files,log_files,log_kib,rss_mib,count_ms,last_date_ms");
    for day in 0..days {
        year.day(day, commits, today - TimeDelta::days((days - day) as i64)).await;
        if (day + 1).is_multiple_of(REPORT_DAYS) || day == 0 || day + 1 == days {
            year.report(day + 1, commits);
        }
    }
    let last = year.args.last_day_commits;
    if last > 0 {
        year.day(days + 1, last, today).await;
        year.report(days + 1, last);
    }
}
