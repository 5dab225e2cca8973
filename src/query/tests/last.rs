//! The last rows of each symbol, found where they lie, against the same windows over all rows.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::rolling::{assert_alike, plain_session, rows_in};
use super::*;

const NEWEST: &str = "PARTITION BY symbol ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC";

/// Some symbols fall silent early, some come late.
fn ticks(random: &mut StdRng, rows: usize) -> Vec<Row> {
    let row = |n: usize| {
        let span = 4 * DAY_MICROS / rows as i64;
        let symbol = random.random_range(0..6) * 2 + i64::from(n > rows / 2);
        let ts = START + n as i64 * span - random.random_range(0..3) * span;
        let mut row = Row::new(&format!("S{symbol:02}"), ts, random.random_range(90.0..110.0), Some(1.0), n as i64);
        row.partition = random.random_range(0..3);
        row
    };
    (0..rows).map(row).collect()
}

/// Sorted files, small or a whole table each; of some the rows are in any order.
async fn laid_out(rows: &[Row], random: &mut StdRng) -> TableView {
    let size = *[37, 150, rows.len()].choose(random).unwrap();
    let slices = rows.chunks(size).map(|slice| {
        let mut slice = slice.to_vec();
        match random.random_bool(0.2) {
            true => slice.shuffle(random),
            false => slice.sort_by(|a, b| (&a.symbol, a.place()).cmp(&(&b.symbol, b.place()))),
        }
        slice
    });
    let slices: Vec<Vec<Row>> = slices.collect();
    let by = *[PartitionBy::Day, PartitionBy::Month].choose(random).unwrap();
    table_of(by, &slices).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_rows_are_those_of_all_rows() {
    let mut random = StdRng::seed_from_u64(21);
    for round in 0..40 {
        let rows = ticks(&mut random, 900);
        let view = laid_out(&rows, &mut random).await;
        let filter = *[
            "",
            "WHERE ts >= TIMESTAMP '2026-01-07 12:00:00+00:00'",
            "WHERE symbol = 'S03'",
            "WHERE symbol IN ('S01', 'S04') AND ts > TIMESTAMP '2026-01-05 12:00:00+00:00'",
        ]
        .choose(&mut random)
        .unwrap();
        let keep = *["= 1", "<= 3", "< 70"].choose(&mut random).unwrap();
        let ahead = random.random_range(0..4);
        let sql = format!(
            "SELECT * FROM (SELECT symbol, ts, close, trade_date, row_number() OVER w AS n, lead(close, {ahead}) OVER \
             w AS l, lag(kafka_offset) OVER w AS g FROM ticks {filter} WINDOW w AS ({NEWEST})) AS s WHERE n {keep} \
             ORDER BY symbol, n"
        );
        let (plan, found) = rows_in(&session(&view).splitting_files(), &sql).await;
        assert!(plan.contains("LastTicksExec"), "{sql}\n{plan}");
        let (plain, expected) = rows_in(&plain_session(&view), &sql).await;
        assert!(!plain.contains("LastTicksExec"), "{plain}");
        assert!(found.num_rows() > 0, "{sql}");
        assert_alike(&found, &expected, &format!("round {round}: {sql}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_reads_the_last_rows_alone() {
    let mut random = StdRng::seed_from_u64(22);
    let rows = ticks(&mut random, 900);
    let view = laid_out(&rows, &mut random).await;
    let sql = named("latest", &[("since", "2026-01-05")]).to_sql();
    let (plan, found) = rows_in(&session(&view), &sql).await;
    assert!(plan.contains("LastTicksExec: rows=2"), "{plan}");
    assert_eq!(found.num_rows(), 12);
    assert_alike(&found, &rows_in(&plain_session(&view), &sql).await.1, &sql);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_older_rows_can_matter_all_are_read() {
    let mut random = StdRng::seed_from_u64(23);
    let rows = ticks(&mut random, 300);
    let view = laid_out(&rows, &mut random).await;
    let oldest = NEWEST.replace(" DESC", "");
    for (window, filter, keep) in [
        (oldest.as_str(), "", "n = 1"),
        (NEWEST, "WHERE close > 100", "n = 1"),
        (NEWEST, "WHERE ts < TIMESTAMP '2026-01-07 00:00:00+00:00'", "n = 1"),
        (NEWEST, "WHERE ts >= TIMESTAMP '2026-01-06 00:00:00+00:00' OR close > 100", "n = 1"),
        (NEWEST, "", "n >= 1"),
        (NEWEST, "", "n = 1 OR close > 105"),
        (NEWEST, "", "n <= 5000"),
        (&NEWEST.replace("BY symbol", "BY symbol, trade_date"), "", "n = 1"),
        (&NEWEST.replace("BY symbol", "BY kafka_partition"), "", "n = 1"),
    ] {
        let sql = format!(
            "SELECT symbol, ts, n FROM (SELECT symbol, ts, close, row_number() OVER w AS n FROM ticks {filter} \
             WINDOW w AS ({window})) AS s WHERE {keep} ORDER BY symbol, ts, n"
        );
        let (plan, found) = rows_in(&session(&view), &sql).await;
        assert!(!plan.contains("LastTicksExec"), "{sql}\n{plan}");
        assert_alike(&found, &rows_in(&plain_session(&view), &sql).await.1, &sql);
    }
    let back = format!(
        "SELECT symbol, l FROM (SELECT symbol, row_number() OVER w AS n, lag(close, -1) OVER w AS l FROM ticks \
         WINDOW w AS ({NEWEST})) AS s WHERE n = 1 ORDER BY symbol"
    );
    let (plan, found) = rows_in(&session(&view), &back).await;
    assert!(!plan.contains("LastTicksExec"), "{plan}");
    assert_alike(&found, &rows_in(&plain_session(&view), &back).await.1, &back);
    let summed = format!(
        "SELECT symbol, s FROM (SELECT symbol, row_number() OVER w AS n, sum(close) OVER (PARTITION BY symbol) AS s \
         FROM ticks WINDOW w AS ({NEWEST})) AS s WHERE n = 1 ORDER BY symbol"
    );
    let (plan, found) = rows_in(&session(&view), &summed).await;
    assert!(!plan.contains("LastTicksExec"), "{plan}");
    assert_alike(&found, &rows_in(&plain_session(&view), &summed).await.1, &summed);
}
