//! Produce-to-visible latency of the union: from the producer's clock to the first query result that holds the row.
//!
//! `cargo bench --bench union_latency -- --brokers localhost:9092`, or with a broker inside of the process. Producer,
//! ingest, union and reader are one process; `benches/union_latency.sh` starts an Apache Kafka for it.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where a test would")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use clap::Parser;
use futures::TryStreamExt;
use tickhouse::decode::{InputSettings, Preset};
use tickhouse::ingest::{IngestDaemon, IngestSettings, IngestSpec};
use tickhouse::kafka::{EmbeddedBroker, KafkaSettings, Producer, ProducerRecord, SendOutcome, ensure_topic};
use tickhouse::lake::{Lake, Location, StoreSettings};
use tickhouse::query::{DEFAULT_MEMORY_BYTES, ParsedStatement, UnionSessions};
use tickhouse::tail::{TableUnion, UnionSettings};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);
/// Ticks of the same instant of the schedule.
const TURN: Duration = Duration::from_millis(1);
/// The first seconds fill caches and are not counted.
const WARM_UP: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Args {
    /// Without it the broker is inside of the process
    #[arg(long)]
    brokers: Option<String>,
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    #[arg(long, default_value_t = 120)]
    symbols: u64,
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    #[arg(long, default_value_t = 30)]
    commit_seconds: u64,
    /// Times sessions and statements over the table of a lake instead
    #[arg(long)]
    table: Option<String>,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

const SESSIONS: usize = 200;

/// What a reader pays that makes a session for each view while the files stay as they are.
async fn time_sessions(table: &str) {
    let lake = Lake::open(&Location::parse(table).unwrap(), &StoreSettings::default()).await.unwrap();
    let union = TableUnion::open(lake, UnionSettings::of(None)).await.unwrap();
    let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
    let view = union.view();
    println!("{} files, version {}", view.lake.ticks.files.len(), view.version());
    let first = Instant::now();
    sessions.over(&view).unwrap();
    println!("first session of a version: {:.1} ms", first.elapsed().as_secs_f64() * 1_000.0);
    let newest = "SELECT symbol, ts, close FROM ticks WHERE ts >= (SELECT max(ts) - INTERVAL '10' SECOND FROM ticks)";
    let of_day = "SELECT symbol, ts, close FROM ticks WHERE ts >= TIMESTAMP '2026-01-05 09:00:00Z' AND \
                  ts < TIMESTAMP '2026-01-05 09:00:01Z'";
    for sql in [None, Some("SELECT count(*) FROM ticks"), Some(of_day), Some(newest)] {
        let mut micros = Vec::new();
        for _ in 0..SESSIONS {
            let begin = Instant::now();
            let session = sessions.over(&view).unwrap();
            if let Some(sql) = sql {
                let planned = session.plan(&ParsedStatement::parse(sql).unwrap()).await.unwrap();
                let _: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
            }
            micros.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        percentiles(sql.unwrap_or("session alone"), 1_000.0, &mut micros);
    }
    union.stop().await;
}

/// Sends on a schedule; a tick has the time at which it was made.
fn produce(args: &Args, kafka: &KafkaSettings, stop: &CancellationToken) -> u64 {
    let mut producer = Producer::new(kafka).unwrap();
    let (started, mut sent, mut payload) = (Instant::now(), 0, String::new());
    while !stop.is_cancelled() {
        let due = (started.elapsed().as_secs_f64() * args.rate as f64) as u64;
        while sent < due {
            let (symbol, now) = (sent % args.symbols, Utc::now());
            payload.clear();
            write!(
                payload,
                r#"{{"symbol":"S{symbol:03}","ts":"{}.{:06}Z","close":{}.25,"volume":{},"trade_id":"{sent}"}}"#,
                now.format("%Y-%m-%dT%H:%M:%S"),
                now.timestamp_subsec_micros(),
                100 + sent % 50,
                sent % 1_000
            )
            .unwrap();
            let key = format!("S{symbol:03}");
            let record = ProducerRecord {
                key: Some(key.as_bytes()),
                payload: payload.as_bytes(),
                timestamp: Some(now.timestamp_millis()),
            };
            if producer.send(record, stop).unwrap() == SendOutcome::Stopped {
                break;
            }
            sent += 1;
        }
        producer.serve().unwrap();
        std::thread::sleep(TURN);
    }
    assert!(producer.flush(PATIENCE), "not all messages were acknowledged");
    sent
}

/// What the reader has seen.
#[derive(Default)]
struct Seen {
    /// Next offset of each partition.
    next: BTreeMap<i32, i64>,
    /// Microseconds from the tick's time to the result.
    latencies: Vec<u32>,
    queries: u64,
    /// Microseconds of each query.
    query_micros: Vec<u32>,
    most_tail_rows: usize,
    most_tail_bytes: usize,
    versions: u64,
}

impl Seen {
    fn statement(&self, partitions: i32) -> String {
        let from = |partition: i32| self.next.get(&partition).copied().unwrap_or(0);
        let unseen: Vec<String> = (0..partitions)
            .map(|partition| format!("(kafka_partition = {partition} AND kafka_offset >= {})", from(partition)))
            .collect();
        format!("SELECT kafka_partition, kafka_offset, ts FROM ticks WHERE {}", unseen.join(" OR "))
    }

    /// Every row is new, and follows the last one of its partition.
    fn take(&mut self, batches: &[RecordBatch], at: DateTime<Utc>, counts: bool) {
        let mut rows: Vec<(i32, i64, i64)> = Vec::new();
        for batch in batches {
            let partitions = batch.column(0).as_primitive::<Int32Type>().values();
            let offsets = batch.column(1).as_primitive::<Int64Type>().values();
            let times = batch.column(2).as_primitive::<TimestampMicrosecondType>().values();
            rows.extend((0..batch.num_rows()).map(|row| (partitions[row], offsets[row], times[row])));
        }
        rows.sort_unstable();
        let now = at.timestamp_micros();
        for (partition, offset, ts) in rows {
            let next = self.next.entry(partition).or_default();
            assert_eq!(offset, *next, "partition {partition}: a gap, or a row that was there before");
            *next += 1;
            if counts {
                self.latencies.push(u32::try_from((now - ts).max(0)).unwrap_or(u32::MAX));
            }
        }
    }
}

fn percentiles(name: &str, unit: f64, values: &mut [u32]) {
    values.sort_unstable();
    let at = |part: f64| values.get(((values.len() as f64 * part) as usize).min(values.len().saturating_sub(1)));
    let at = |part: f64| f64::from(at(part).copied().unwrap_or(0)) / unit;
    println!(
        "{name}: p50 {:.1} p90 {:.1} p99 {:.1} p999 {:.1} max {:.1} ms, {} values",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
        values.len()
    );
}

fn histogram(sorted: &[u32]) {
    let mut low = 0;
    for high in [1, 2, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 500, 1_000, 5_000, u32::MAX / 1_000] {
        let count =
            sorted.partition_point(|value| *value < high * 1_000) - sorted.partition_point(|v| *v < low * 1_000);
        if count > 0 {
            let share = count as f64 / sorted.len() as f64 * 100.0;
            println!("{low:>6} to {high:>6} ms {count:>9} {share:>7.3} % {}", "#".repeat((share / 2.0) as usize));
        }
        low = high;
    }
}

#[tokio::main]
async fn main() {
    let args = Arc::new(Args::parse());
    if let Some(table) = &args.table {
        return time_sessions(table).await;
    }
    let topic = format!("union-latency-{}", uuid::Uuid::new_v4());
    let embedded = args.brokers.is_none().then(|| EmbeddedBroker::start(args.partitions, &topic).unwrap());
    let brokers = embedded.as_ref().map(|broker| broker.bootstrap_servers().to_owned());
    let mut kafka = KafkaSettings {
        brokers: args.brokers.clone().or(brokers).unwrap(),
        topic: topic.clone(),
        ..KafkaSettings::default()
    };
    if embedded.is_none() {
        let (kafka, partitions) = (kafka.clone(), args.partitions);
        tokio::task::spawn_blocking(move || ensure_topic(&kafka, partitions, Some(1), PATIENCE).unwrap())
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("lake").to_str().unwrap()).unwrap();
    let spec = IngestSpec {
        location: location.clone(),
        store: StoreSettings::default(),
        kafka: kafka.clone(),
        input: InputSettings { preset: Some(Preset::Canonical), ..InputSettings::default() },
        settings: IngestSettings {
            market_zone: "UTC".to_owned(),
            flush_interval: Duration::from_secs(args.commit_seconds),
            flush_rows: usize::MAX,
            flush_bytes: 1 << 30,
            memory: 3 << 30,
            ..IngestSettings::default()
        },
        until_latest: false,
        accept_input_change: false,
    };
    let stop = CancellationToken::new();
    let daemon = IngestDaemon::open(spec, &stop).await.unwrap().unwrap();
    let mut status = daemon.status();
    let ingest = tokio::spawn(daemon.run(stop.clone()));
    let lake = Lake::open(&location, &StoreSettings::default()).await.unwrap();
    let union = TableUnion::open(lake, UnionSettings::of(Some(kafka.clone()))).await.unwrap();
    let hint = union.commit_notifier();
    let hinting = tokio::spawn(async move {
        while status.changed().await.is_ok() {
            hint.committed();
        }
    });

    kafka.properties.0.insert("linger.ms".to_owned(), "1".to_owned());
    let end = CancellationToken::new();
    let mut producing = {
        let (args, kafka, end) = (Arc::clone(&args), kafka.clone(), end.clone());
        Some(std::thread::spawn(move || produce(&args, &kafka, &end)))
    };
    let sessions = UnionSessions::new(DEFAULT_MEMORY_BYTES).unwrap();
    let mut seen = Seen::default();
    let started = Instant::now();
    let mut views = union.views();
    let mut last_version = None;
    let mut sent: Option<u64> = None;
    loop {
        let elapsed = started.elapsed();
        if elapsed >= Duration::from_secs(args.seconds) && !end.is_cancelled() {
            end.cancel();
        }
        if let Some(thread) = producing.take_if(|thread| thread.is_finished()) {
            sent = Some(thread.join().unwrap());
        }
        if sent.is_some_and(|sent| sent as i64 == seen.next.values().sum::<i64>()) {
            break;
        }
        let changed = tokio::time::timeout(PATIENCE, views.changed()).await;
        changed.expect("the union moves on").unwrap();
        let view = Arc::clone(&views.borrow_and_update());
        if last_version.replace(view.version()) != Some(view.version()) {
            seen.versions += 1;
        }
        seen.most_tail_rows = seen.most_tail_rows.max(view.tail_rows);
        seen.most_tail_bytes = seen.most_tail_bytes.max(view.tail_bytes);
        let asked = Instant::now();
        let session = sessions.over(&view).unwrap();
        let planned = session.plan(&ParsedStatement::parse(&seen.statement(args.partitions)).unwrap()).await.unwrap();
        let batches: Vec<RecordBatch> = planned.run().unwrap().try_collect().await.unwrap();
        let now = Utc::now();
        seen.queries += 1;
        seen.query_micros.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
        seen.take(&batches, now, elapsed >= WARM_UP && !end.is_cancelled());
    }
    println!(
        "{} ticks sent and read by {} queries over {} versions; tail at most {} rows, {} MiB",
        sent.unwrap_or_default(),
        seen.queries,
        seen.versions,
        seen.most_tail_rows,
        seen.most_tail_bytes >> 20
    );
    percentiles("query", 1_000.0, &mut seen.query_micros);
    percentiles("from the producer's clock to the result", 1_000.0, &mut seen.latencies);
    histogram(&seen.latencies);
    union.stop().await;
    stop.cancel();
    ingest.await.unwrap().unwrap();
    hinting.await.unwrap();
}
