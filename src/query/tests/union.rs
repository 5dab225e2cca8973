//! The union of files and tail against the same rows in files alone.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::Int64Type;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::rolling::{Layout, assert_alike, known, laid_out, plain_session, rows_in, ticks};
use super::*;
use crate::query::session::provider::LakeFiles;
use crate::query::session::union::TailRows;
use crate::tail::{TailBatch, read_schema};

/// What a follower would have read: of each partition in the order of offsets, in small pieces.
pub(super) fn tail_of(view: &TableView, rows: &[Row], random: &mut StdRng) -> Vec<Arc<TailBatch>> {
    let schema = read_schema(view);
    let mut by_partition: BTreeMap<i32, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| by_partition.entry(row.partition).or_default().push(row));
    let mut batches = Vec::new();
    for (partition, rows) in by_partition {
        let mut rows = &rows[..];
        while !rows.is_empty() {
            let (piece, rest) = rows.split_at(random.random_range(1..=rows.len().min(40)));
            rows = rest;
            let plain = batch_of(&view.schema, piece);
            let columns = plain.columns().iter().zip(schema.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
            let times = || piece.iter().map(|row| row.ts);
            batches.push(Arc::new(TailBatch {
                rows: RecordBatch::try_new(Arc::clone(&schema), columns).unwrap(),
                partition,
                offsets: (piece[0].offset, piece[piece.len() - 1].offset),
                ts: (times().min().unwrap(), times().max().unwrap()),
                bytes: 0,
            }));
        }
    }
    batches
}

pub(super) fn union_in(mut session: QuerySession, view: &TableView, tail: &[Arc<TailBatch>]) -> QuerySession {
    let files = Arc::new(LakeFiles::of(view.clone()).unwrap());
    let tail = Arc::new(TailRows::new(read_schema(view), tail.to_vec()));
    session.register_files(TICKS, files, Some(tail)).unwrap();
    session
}

fn union(view: &TableView, tail: &[Arc<TailBatch>]) -> QuerySession {
    union_in(QuerySession::new(DEFAULT_MEMORY_BYTES).unwrap().splitting_files(), view, tail)
}

fn plain_union(view: &TableView, tail: &[Arc<TailBatch>]) -> QuerySession {
    union_in(QuerySession::with_rules(DEFAULT_MEMORY_BYTES, PhysicalOptimizer::new().rules).unwrap(), view, tail)
}

/// The first rows in files, the last ones in the tail; the same rows all in files.
async fn cut(rows: &[Row], at: usize, random: &mut StdRng) -> (TableView, Vec<Arc<TailBatch>>, TableView) {
    let layout = *[Layout::Scattered, Layout::Sorted, Layout::InArrivalOrder].choose(random).unwrap();
    let by = *[PartitionBy::Day, PartitionBy::Month].choose(random).unwrap();
    let files = laid_out(layout, by, &rows[..at], random).await;
    let tail = tail_of(&files, &rows[at..], random);
    (files, tail, laid_out(Layout::Sorted, by, rows, random).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_over_both_are_those_over_files() {
    let mut random = StdRng::seed_from_u64(31);
    for round in 0..48 {
        let symbols = *[1, 4, 60].choose(&mut random).unwrap();
        let rows = ticks(&mut random, symbols, 600);
        let at = *[0, 1, 300, 590, 600].choose(&mut random).unwrap();
        let (files, tail, all) = cut(&rows, at, &mut random).await;
        let filters = ["", "WHERE symbol <> 'S1'", "WHERE volume > 10", "WHERE trade_date >= DATE '2026-01-07'"];
        let filter = filters.choose(&mut random).unwrap();
        let by = ["symbol", "symbol", "symbol, trade_date"].choose(&mut random).unwrap();
        let columns = known(&mut random).replace("PARTITION BY symbol", &format!("PARTITION BY {by}"));
        let sql = format!("SELECT symbol, kafka_offset, {columns} FROM ticks {filter} ORDER BY symbol, kafka_offset");
        let (plan, found) = rows_in(&union(&files, &tail), &sql).await;
        assert!(plan.contains("RollingExec") && !plan.contains("WindowAggExec"), "{sql}\n{plan}");
        assert_eq!(plan.contains("TailMergeExec"), !tail.is_empty(), "{plan}");
        let (_, expected) = rows_in(&plain_session(&all), &sql).await;
        assert_alike(&found, &expected, &format!("round {round}, {at} in files: {sql}"));
        let (_, plain) = rows_in(&plain_union(&files, &tail), &sql).await;
        assert_alike(&plain, &expected, &format!("plain, round {round}: {sql}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_queries_answer_as_over_files() {
    let mut random = StdRng::seed_from_u64(32);
    let catalog = NamedQueries::load(None).unwrap();
    for at in [0, 250, 490, 500] {
        let rows = ticks(&mut random, 5, 500);
        let (files, tail, all) = cut(&rows, at, &mut random).await;
        let (both, alone) = (union(&files, &tail), plain_session(&all));
        for (name, query) in catalog.iter() {
            let since = query.header.params.iter().any(|param| param.name == "since");
            let params: &[(&str, &str)] = if since { &[("since", "2026-01-01")] } else { &[] };
            let sql = named(name, params).to_sql();
            let (_, found) = rows_in(&both, &sql).await;
            let (_, expected) = rows_in(&alone, &sql).await;
            assert_alike(&found, &expected, &format!("{name}, {at} in files"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_rows_are_found_in_files_and_tail() {
    let mut random = StdRng::seed_from_u64(33);
    for at in [1, 450, 880] {
        let rows = ticks(&mut random, 6, 900);
        let (files, tail, all) = cut(&rows, at, &mut random).await;
        let sql = named("latest", &[("since", "2026-01-01")]).to_sql();
        let (plan, found) = rows_in(&union(&files, &tail), &sql).await;
        assert!(plan.contains("LastTicksExec") && plan.contains("TailExec"), "{plan}");
        assert_alike(&found, &rows_in(&plain_session(&all), &sql).await.1, &sql);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_counts_and_projections_see_both() {
    let mut random = StdRng::seed_from_u64(34);
    let rows = ticks(&mut random, 4, 500);
    let (files, tail, all) = cut(&rows, 300, &mut random).await;
    let (both, alone) = (union(&files, &tail), plain_session(&all));
    for sql in [
        "SELECT count(*) FROM ticks",
        "SELECT count(*) FROM ticks WHERE trade_date = DATE '2026-01-07'",
        "SELECT count(*), sum(kafka_offset) FROM ticks WHERE symbol IN ('S1', 'S2')",
        "SELECT symbol, count(*), min(ts), max(ts) FROM ticks GROUP BY symbol ORDER BY symbol",
        "SELECT kafka_offset, close * 2 AS twice FROM ticks WHERE close > 100 AND volume IS NOT NULL ORDER BY 1",
        "SELECT ts, symbol FROM ticks WHERE ts >= TIMESTAMP '2026-01-07 00:00:00Z' ORDER BY ts, symbol, kafka_offset \
         LIMIT 9",
        "SELECT kafka_offset FROM ticks ORDER BY kafka_offset DESC LIMIT 5",
        "SELECT DISTINCT trade_date FROM ticks ORDER BY 1",
        "SELECT count(*) FROM (SELECT DISTINCT kafka_partition, kafka_offset, kafka_index FROM ticks)",
        "SELECT count(*) FROM ticks a JOIN ticks b ON a.kafka_offset = b.kafka_offset + 1",
        "SELECT symbol FROM ticks UNION ALL SELECT symbol FROM ticks WHERE volume > 3 ORDER BY symbol",
        "SELECT upper(symbol) AS s, source, trade_id FROM ticks WHERE upper(symbol) = 'S3' ORDER BY kafka_offset",
    ] {
        let (_, found) = rows_in(&both, sql).await;
        assert_alike(&found, &rows_in(&alone, sql).await.1, sql);
    }
    let doubled = "SELECT symbol, kafka_offset, lag(close) OVER (PARTITION BY symbol ORDER BY ts, kafka_partition, \
                   kafka_offset) AS l FROM (SELECT * FROM ticks UNION ALL SELECT * FROM ticks) AS t ORDER BY 1, 2, 3";
    let (_, found) = rows_in(&both, doubled).await;
    assert_alike(&found, &rows_in(&alone, doubled).await.1, doubled);
    let (plan, counted) = rows_in(&both, "SELECT count(*) AS n FROM ticks").await;
    assert!(!plan.contains("TailExec"), "{plan}");
    assert_eq!(counted.column(0).as_primitive::<Int64Type>().value(0), 500);
    let (plan, _) = rows_in(&both, "SELECT kafka_offset FROM ticks WHERE symbol = 'S1'").await;
    assert!(plan.contains("TailExec") && !plan.contains("FilterExec"), "{plan}");
}
