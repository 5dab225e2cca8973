//! A real lake in a folder, for tests of the command.

use std::path::Path as FilePath;

use super::*;
use crate::lake::{Advance, CommitNote, CommitOutcome, Lake, LakeSpec, Location, NewFile, StoreSettings};
use crate::market::{Counts, OffsetRange, TopicIdentity};

/// Two days of two symbols, 40 ticks each a day, committed to `folder` one day at a time.
pub(crate) async fn write_lake(folder: &FilePath) {
    let location = Location::parse(folder.to_str().unwrap()).unwrap();
    let spec = LakeSpec {
        topic: "ticks".to_owned(),
        identity: TopicIdentity { cluster_id: "cluster-1".to_owned(), topic_id: None },
        market_zone: "UTC".to_owned(),
        partition_by: PartitionBy::Day,
        input: r#"{"preset":"canonical"}"#.to_owned(),
        extras: Vec::new(),
        accept_input_change: false,
        must_exist: false,
    };
    let mut lake = Lake::open_or_create(&location, &StoreSettings::default(), &spec).await.unwrap();
    let schema = lake.ticks().unwrap().schema;
    let in_file: Vec<_> = schema.fields().iter().filter(|field| field.name() != "trade_date").cloned().collect();
    for day in 0..2 {
        let rows: Vec<Row> = (0..80)
            .map(|n| {
                let price = 100.0 + ((n / 2) as f64 / 4.0).sin();
                let symbol = ["AAPL", "MSFT"][n as usize % 2];
                Row::new(symbol, START + day * DAY_MICROS + n * 1_000_000, price, Some((n % 7) as f64), day * 80 + n)
            })
            .collect();
        let rows: Vec<&Row> = rows.iter().collect();
        let bytes = encode(&Schema::new(in_file.clone()), &rows);
        let date = ["2026-01-05", "2026-01-06"][day as usize];
        let file = NewFile {
            path: format!("trade_date={date}/part-{day}.zstd.parquet"),
            bytes: bytes.len() as i64,
            rows: rows.len() as i64,
            partition_value: rows[0].date(),
            stats: stats(&rows),
            made: chrono::Utc::now(),
        };
        lake.ticks_store().put(&Path::from(file.path.as_str()), bytes.into()).await.unwrap();
        let counts = Counts { stored_offsets: 80, rows: 80, ..Counts::default() };
        let range = OffsetRange::new(day * 80, day * 80 + 80).unwrap();
        let advance = Advance { partition: 0, base: (day > 0).then_some(day * 80), range, counts, leader_epoch: None };
        let outcome = lake.commit_ticks(&[file], &[advance], &CommitNote::default()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
    }
}
