//! Partitions and columns of the table.

use chrono::{DateTime, Datelike, NaiveDate};
use tickhouse::decode::InputSettings;
use tickhouse::ingest::{IngestError, IngestSettings, IngestSpec};
use tickhouse::market::{EPOCH_DAYS_FROM_CE, ExtraSpec, ExtraType, PartitionBy};

use crate::support::{Contents, Place, Tickhouse, Topic, over_stores, spec, tick, ticks, until_latest};

fn days(date: &str) -> i32 {
    date.parse::<NaiveDate>().unwrap().num_days_from_ce() - EPOCH_DAYS_FROM_CE
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trade_date_is_that_of_the_market() {
    let place = Place::folder();
    let topic = Topic::new(1);
    // Midnight in New York is at 05:00 UTC.
    let times = ["2026-01-05T04:59:59.999999Z", "2026-01-05T05:00:00Z", "2026-07-05T04:00:00Z"];
    topic.send(&times.map(|ts| format!(r#"{{"symbol":"A","ts":"{ts}","close":1}}"#)));
    let settings = IngestSettings { market_zone: "America/New_York".to_owned(), ..spec(&topic, &place).settings };
    until_latest(IngestSpec { settings, ..spec(&topic, &place) }).await.unwrap();
    let dates: Vec<i32> = Contents::of(&place).await.rows.iter().map(|row| row.date).collect();
    assert_eq!(dates, ["2026-01-04", "2026-01-05", "2026-07-05"].map(days));
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_data_can_be_partitioned_by_month_or_year() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let sent = topic.send(&ticks(0..30));
        let by = |partition_by| IngestSpec {
            settings: IngestSettings { partition_by, ..spec(&topic, &place).settings },
            ..spec(&topic, &place)
        };
        until_latest(by(PartitionBy::Month)).await.unwrap();
        let contents = Contents::exactly(&place, &sent).await;
        assert!(contents.rows.iter().all(|row| row.date == days("2026-01-01")));
        assert_eq!(contents.columns().last().map(String::as_str), Some("trade_month"));
        let view = contents.lake.ticks().unwrap();
        assert_eq!((view.partition_column.as_str(), view.files.len()), ("trade_month", 1));

        let error = until_latest(by(PartitionBy::Year)).await.unwrap_err().to_string();
        assert!(error.contains("'month'") && error.contains("'year'"), "{error}");
        let sql = "SELECT count(*) AS n FROM ticks WHERE trade_month = DATE '2026-01-01'";
        let answer = Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed();
        assert_eq!(answer, "n\n30\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_the_date_of_its_time_in_every_layout() {
    for partition_by in [PartitionBy::Day, PartitionBy::Month, PartitionBy::Year] {
        let place = Place::folder();
        let topic = Topic::new(1);
        let sent = topic.send(&ticks(0..9));
        let settings = IngestSettings { partition_by, ..spec(&topic, &place).settings };
        until_latest(IngestSpec { settings, ..spec(&topic, &place) }).await.unwrap();
        Contents::exactly(&place, &sent).await;
        let sql = "SELECT CAST(trade_date AS VARCHAR) AS d, count(*) AS n FROM ticks GROUP BY trade_date ORDER BY d";
        let answer = Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed();
        assert_eq!(answer, "d,n\n2026-01-05,3\n2026-01-06,3\n2026-01-07,3\n", "{partition_by}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_added_at_a_start_and_none_goes_away() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let mut sent = topic.send(&ticks(0..5));
        until_latest(spec(&topic, &place)).await.unwrap();

        let bid = ExtraSpec { path: "/b".to_owned(), kind: ExtraType::Double };
        let columns = [("bid".to_owned(), bid)].into();
        let input = InputSettings { columns, ..spec(&topic, &place).input };
        sent.extend(topic.send(&[tick(5).replace('}', r#","b":99.5}"#), tick(6)]));
        until_latest(IngestSpec { input, ..spec(&topic, &place) }).await.unwrap();
        let contents = Contents::exactly(&place, &sent).await;
        let columns = contents.columns();
        let source = columns.iter().position(|name| name == "source").unwrap();
        assert_eq!(columns[source + 1], "bid");
        let sql = "SELECT kafka_offset, bid FROM ticks WHERE kafka_offset > 3 ORDER BY kafka_offset";
        let answer = Tickhouse::new(&["query", sql]).flags(&place.flags()).succeed();
        assert_eq!(answer, "kafka_offset,bid\n4,\n5,99.5\n6,\n");

        let error = until_latest(spec(&topic, &place)).await.unwrap_err();
        assert!(matches!(error, IngestError::Lake(_)) && error.to_string().contains("bid"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_commit_covers_its_times_and_files_are_sorted() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let sent = topic.send(&ticks(0..400));
    until_latest(spec(&topic, &place)).await.unwrap();
    let contents = Contents::exactly(&place, &sent).await;
    for file in contents.lake.ticks().unwrap().files {
        let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref().unwrap()).unwrap();
        let time = |side: &str| DateTime::parse_from_rfc3339(stats[side]["ts"].as_str().unwrap()).unwrap();
        let day = |side: &str| time(side).date_naive().num_days_from_ce() - EPOCH_DAYS_FROM_CE;
        assert_eq!((day("minValues"), day("maxValues")), (file.partition_value, file.partition_value));
    }
}
