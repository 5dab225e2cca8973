//! Queries over a table of generated ticks, sorted a file a day and in small files in order of arrival.
//!
//! `cargo bench --bench signals -- --ticks 10000000 --folder target/signals`; the files stay there for other engines.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where a test would")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tickhouse::ingest::{Batch, Chunk, TickEncoder};
use tickhouse::lake::{DataFile, TableView, ticks_schema};
use tickhouse::market::{OffsetRange, PartitionBy, Tick, TickColumns};
use tickhouse::query::{Catalog, DEFAULT_MEMORY_BYTES, Parsed, QuerySession, TICKS};
use url::Url;

const SYMBOLS: usize = 120;
const DAY_MICROS: i64 = 86_400_000_000;
/// 2026-01-05 00:00 UTC.
const START: i64 = 20_458 * DAY_MICROS;
const SMALL_FILE_TICKS: usize = 10_000;
const RUNS: usize = 3;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 1_000_000)]
    ticks: usize,
    #[arg(long, default_value_t = 2)]
    days: usize,
    #[arg(long, default_value = "target/signals")]
    folder: PathBuf,
    /// Only queries whose name holds this
    #[arg(long, default_value = "")]
    only: String,
    /// Print the plans with their measurements
    #[arg(long)]
    analyze: bool,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

struct Ticks {
    random: StdRng,
    names: Vec<String>,
    prices: Vec<f64>,
    made: usize,
    a_day: usize,
    interval: i64,
}

impl Ticks {
    /// The next ticks, all of one day, as a batch.
    fn batch(&mut self, ticks: usize) -> Batch {
        let mut rows = TickColumns::default();
        let first = self.made as i64;
        for _ in 0..ticks {
            let symbol = self.random.random_range(0..SYMBOLS);
            let price = &mut self.prices[symbol];
            *price = ((*price + self.random.random_range(-0.5..0.5f64)).max(1.0) * 100.0).round() / 100.0;
            let (day, nth) = (self.made / self.a_day, self.made % self.a_day);
            let ts = START + day as i64 * DAY_MICROS + nth as i64 * self.interval;
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
            rows.push(&tick, (ts / DAY_MICROS) as i32, self.made as i64, 0, Some(ts / 1_000));
            self.made += 1;
        }
        let mut chunk = Chunk::empty(0, first, rows, START);
        chunk.range = OffsetRange::new(first, self.made as i64).unwrap();
        let mut batch = Batch::default();
        batch.push(chunk).unwrap();
        batch
    }
}

fn table(folder: &Path, args: &Args, ticks_a_file: usize) -> TableView {
    let mut random = StdRng::seed_from_u64(1);
    let a_day = args.ticks.div_ceil(args.days);
    let mut ticks = Ticks {
        names: (0..SYMBOLS).map(|n| format!("SYM{n:03}")).collect(),
        prices: (0..SYMBOLS).map(|_| random.random_range(20.0..500.0)).collect(),
        random,
        made: 0,
        a_day,
        interval: DAY_MICROS / a_day as i64,
    };
    std::fs::create_dir_all(folder).unwrap();
    let encoder = TickEncoder::new(0, PartitionBy::Day, &[]);
    let mut files = Vec::new();
    while ticks.made < args.ticks {
        let left_of_day = a_day - ticks.made % a_day;
        let batch = ticks.batch(ticks_a_file.min(left_of_day).min(args.ticks - ticks.made));
        for encoded in encoder.encode(&batch).unwrap() {
            let path = folder.join(&encoded.file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &encoded.bytes).unwrap();
            files.push(DataFile {
                path: encoded.file.path.as_str().into(),
                bytes: encoded.bytes.len() as u64,
                rows: Some(encoded.file.rows as u64),
                partition_value: encoded.file.partition_value,
                stats: Some(encoded.file.stats),
            });
        }
    }
    let folder = folder.canonicalize().unwrap();
    TableView {
        schema: ticks_schema(PartitionBy::Day, &[]),
        partition_column: "trade_date".to_owned(),
        files,
        store: Arc::new(LocalFileSystem::new_with_prefix(&folder).unwrap()),
        table_url: Url::from_directory_path(&folder).unwrap(),
    }
}

fn named(name: &str) -> String {
    let catalog = Catalog::load(None).unwrap();
    let mut parsed = Parsed::parse(&catalog.get(name).unwrap().text).unwrap();
    parsed.bind(&[]).unwrap();
    parsed.to_sql().trim_end_matches(';').to_owned()
}

fn queries() -> Vec<(&'static str, String)> {
    let crossover = named("sma_crossover");
    let per_signal =
        format!("SELECT signal, cross_event, count(*) FROM ({crossover}) AS s GROUP BY signal, cross_event");
    let window = "OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)";
    vec![
        ("crossover_counts", per_signal),
        ("means", format!("SELECT sum(m) FROM (SELECT avg(close) {window} AS m FROM ticks) AS s")),
        ("deviations", format!("SELECT sum(m) FROM (SELECT stddev(close) {window} AS m FROM ticks) AS s")),
        ("scan", "SELECT sum(close), max(symbol), max(ts), sum(volume) FROM ticks".to_owned()),
        ("one_symbol", "SELECT count(*), avg(close) FROM ticks WHERE symbol = 'SYM007'".to_owned()),
        (
            "daily_summary",
            format!("SELECT count(*) FROM ({}) AS s WHERE trades > 0 AND volatility > 0", named("daily_summary")),
        ),
    ]
}

async fn run(view: &TableView, sql: &str) -> (f64, usize) {
    let mut session = QuerySession::new(4 * DEFAULT_MEMORY_BYTES).unwrap();
    session.register(TICKS, view.clone()).unwrap();
    let begun = Instant::now();
    let planned = session.plan(&Parsed::parse(sql).unwrap()).await.unwrap();
    let batches: Vec<_> = planned.run().unwrap().try_collect().await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    if sql.starts_with("EXPLAIN") {
        println!("{}", arrow::util::pretty::pretty_format_batches(&batches).unwrap());
    }
    (seconds, batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args = Args::parse();
    for (layout, ticks_a_file) in [("sorted", usize::MAX), ("small", SMALL_FILE_TICKS)] {
        let view = table(&args.folder.join(layout), &args, ticks_a_file);
        println!("{layout}: {} files", view.files.len());
        for (name, sql) in queries().into_iter().filter(|(name, _)| name.contains(&args.only)) {
            let mut seconds = Vec::new();
            for _ in 0..RUNS {
                seconds.push(run(&view, &sql).await.0);
            }
            seconds.sort_by(f64::total_cmp);
            println!("{layout} {name}: median {:.3} s of {seconds:.3?}", seconds[RUNS / 2]);
            if args.analyze {
                run(&view, &format!("EXPLAIN ANALYZE {sql}")).await;
            }
        }
    }
}
