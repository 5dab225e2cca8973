//! Makes two lakes of the same generated ticks: `arrival`, small files as they come from Kafka, and `compacted`, one
//! sorted file a trade date. `benches/queries.sh` runs it.
//!
//! `cargo bench --bench lake -- --ticks 10000000 --folder target/lakes`

#![allow(clippy::unwrap_used, reason = "a benchmark ends where a test would")]

use std::path::PathBuf;

use bytes::Bytes;
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tickhouse::ingest::{IngestBatch, IngestChunk, TickEncoder};
use tickhouse::lake::{
    Advance, CommitNote, CommitOutcome, Lake, LakeMaintenance, LakeSpec, Location, LogMaintenance, StoreSettings,
};
use tickhouse::market::{Counts, OffsetRange, PartitionBy, Tick, TickColumns, TopicIdentity};

const SYMBOLS: usize = 120;
const KAFKA_PARTITIONS: usize = 4;
const DAY_MICROS: i64 = 86_400_000_000;
/// 2026-01-05 00:00 UTC.
const START: i64 = 20_458 * DAY_MICROS;
/// Most ticks arrive within this time, one in [`LATE_ONE_IN`] within [`LATE_MICROS`].
const PROMPT_MICROS: i64 = 200_000;
const LATE_MICROS: i64 = 5_000_000;
const LATE_ONE_IN: u32 = 1000;
const COMMITS_PER_CHECKPOINT: u64 = 100;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 10_000_000)]
    ticks: usize,
    #[arg(long, default_value_t = 5_000_000)]
    ticks_per_day: usize,
    #[arg(long, default_value_t = 10_000)]
    ticks_per_file: usize,
    #[arg(long, default_value = "target/lakes")]
    folder: PathBuf,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

/// The same ticks for the same seed, however they are cut into batches.
struct Ticks {
    random: StdRng,
    names: Vec<String>,
    prices: Vec<f64>,
    made: usize,
    per_day: usize,
    next_offsets: [i64; KAFKA_PARTITIONS],
}

impl Ticks {
    fn new(per_day: usize) -> Self {
        let mut random = StdRng::seed_from_u64(1);
        Self {
            names: (0..SYMBOLS).map(|n| format!("SYM{n:03}")).collect(),
            prices: (0..SYMBOLS).map(|_| random.random_range(20.0..500.0)).collect(),
            random,
            made: 0,
            per_day,
            next_offsets: [0; KAFKA_PARTITIONS],
        }
    }

    /// The next ticks that arrive, all of one day.
    fn batch(&mut self, ticks: usize) -> IngestBatch {
        let mut rows: [TickColumns; KAFKA_PARTITIONS] = std::array::from_fn(|_| TickColumns::default());
        let first = self.next_offsets;
        for _ in 0..ticks {
            let symbol = self.random.random_range(0..SYMBOLS);
            let price = &mut self.prices[symbol];
            *price = ((*price + self.random.random_range(-0.5..0.5f64)).max(1.0) * 100.0).round() / 100.0;
            let (day, nth) = ((self.made / self.per_day) as i64, (self.made % self.per_day) as i64);
            let arrival = nth * DAY_MICROS / self.per_day as i64;
            let late = self.random.random_ratio(1, LATE_ONE_IN);
            let delay = self.random.random_range(0..if late { LATE_MICROS } else { PROMPT_MICROS });
            let ts = START + day * DAY_MICROS + (arrival - delay).max(0);
            let tick = Tick {
                symbol: &self.names[symbol],
                ts,
                open: None,
                high: None,
                low: None,
                close: *price,
                volume: Some(f64::from(self.random.random_range(1..10_000u32))),
                trade_id: None,
                source: Some("simulate"),
            };
            let partition = symbol % KAFKA_PARTITIONS;
            let offset = &mut self.next_offsets[partition];
            rows[partition].push(&tick, (ts / DAY_MICROS) as i32, *offset, 0, Some(ts / 1_000));
            *offset += 1;
            self.made += 1;
        }
        let mut batch = IngestBatch::default();
        for (partition, rows) in rows.into_iter().enumerate() {
            let mut chunk = IngestChunk::empty(partition as i32, first[partition], rows, START);
            chunk.range = OffsetRange::new(first[partition], self.next_offsets[partition]).unwrap();
            batch.push(chunk).unwrap();
        }
        batch
    }
}

async fn write(folder: PathBuf, args: &Args, ticks_per_file: usize) {
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
    std::fs::create_dir_all(&folder).unwrap();
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    let mut lake = Lake::open_or_create(&location, &StoreSettings::default(), &spec).await.unwrap();
    let mut maintenance = LakeMaintenance::open(&location, &StoreSettings::default()).await.unwrap();
    let store = lake.ticks_store();
    let encoder = TickEncoder::new(0, PartitionBy::Day, &[]);
    let mut ticks = Ticks::new(args.ticks_per_day);
    let (mut files, mut bytes) = (0, 0);
    while ticks.made < args.ticks {
        let left_of_day = args.ticks_per_day - ticks.made % args.ticks_per_day;
        let before = ticks.next_offsets;
        let batch = ticks.batch(ticks_per_file.min(left_of_day).min(args.ticks - ticks.made));
        let mut stored = Vec::new();
        for encoded in encoder.encode(&batch).unwrap() {
            lake.put(&store, &encoded.file.path, Bytes::from(encoded.bytes)).await.unwrap();
            bytes += encoded.file.bytes;
            stored.push(encoded.file);
        }
        files += stored.len();
        let advances: Vec<Advance> = (0..KAFKA_PARTITIONS)
            .map(|partition| {
                let range = OffsetRange::new(before[partition], ticks.next_offsets[partition]).unwrap();
                let counts = Counts { stored_offsets: range.len(), rows: range.len(), ..Counts::default() };
                let base = (before[partition] > 0).then_some(before[partition]);
                Advance { partition: partition as i32, base, range, counts, leader_epoch: None }
            })
            .filter(|advance| !advance.range.is_empty())
            .collect();
        let outcome = lake.commit_ticks(&stored, &advances, &CommitNote::default()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        maintenance
            .run(LogMaintenance { commits: COMMITS_PER_CHECKPOINT, clean: false }, chrono::Utc::now())
            .await
            .unwrap();
    }
    println!("{}: {} ticks in {files} files, {} MiB", folder.display(), ticks.made, bytes >> 20);
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    write(args.folder.join("compacted"), &args, args.ticks_per_day).await;
    write(args.folder.join("arrival"), &args, args.ticks_per_file).await;
}
