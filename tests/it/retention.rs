//! `tickhouse maintain --retain`: old dates leave, and the table that is left is a whole one.

use chrono::{NaiveDate, TimeDelta, Utc};
use tickhouse::decode::{InputSettings, Preset};
use tickhouse::ingest::IngestSpec;
use tickhouse::lake::{ReplaceOutcome, Replacement, RetryPolicy};

use crate::support::{Contents, Place, Tickhouse, Topic, assert_healthy, over_stores, spec, until_latest};
use crate::verify::damage::TableFolder;

fn ago(days: i64) -> NaiveDate {
    (Utc::now() - TimeDelta::days(days)).date_naive()
}

fn trade(date: NaiveDate, number: usize) -> String {
    let at = date.and_hms_opt(12, 0, number as u32 % 60).unwrap().and_utc().timestamp_millis();
    format!(r#"{{"s":"S{}","t":{at},"p":{number}.5,"v":1}}"#, number % 3)
}

/// A message with some ticks.
fn message(trades: &[String]) -> String {
    format!(r#"{{"type":"trade","data":[{}]}}"#, trades.join(","))
}

fn tick(date: NaiveDate, number: usize) -> String {
    message(&[trade(date, number)])
}

async fn land(topic: &Topic, place: &Place) {
    let input = InputSettings { preset: Some(Preset::Finnhub), ..InputSettings::default() };
    until_latest(IngestSpec { input, ..spec(topic, place) }).await.unwrap();
}

fn maintain(place: &Place, arguments: &[&str]) -> String {
    let flags = ["maintain", "--ignore-lease", "--format", "csv"];
    Tickhouse::new(&[&flags, arguments].concat()).flags(&place.flags()).succeed()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_dates_leave_with_their_rows_counted() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let dates = [ago(900), ago(800), ago(4), ago(1)];
        let mut payloads: Vec<String> = (0..80).map(|number| tick(dates[number % 4], number)).collect();
        // One message of two dates, one that is no tick.
        payloads.push(message(&[trade(dates[0], 80), trade(dates[2], 81)]));
        payloads.push("no tick".to_owned());
        topic.send(&payloads);
        land(&topic, &place).await;
        let before = Contents::of(&place).await;
        let files = before.lake.ticks().unwrap().files.len();

        let planned = maintain(&place, &["--retain", "2y", "--dry-run"]);
        assert!(planned.contains("ticks,would drop,2,"), "{planned}");
        assert_eq!(Contents::of(&place).await.rows, before.rows, "--dry-run changes nothing");

        let done = maintain(&place, &["--retain", "2y"]);
        assert!(done.contains("ticks,dropped,2,"), "{done}");
        let after = Contents::of(&place).await;
        let first = before.rows.iter().map(|row| row.date).max().unwrap() - 3;
        let staying: Vec<_> = before.rows.iter().filter(|row| row.date >= first).cloned().collect();
        assert_eq!((before.rows.len(), staying.len()), (82, 41));
        assert_eq!((&after.rows, &after.letters), (&staying, &before.letters));
        assert_eq!(after.lake.ticks().unwrap().files.len(), files - 2);
        let expired: i64 = after.counters.values().map(|counters| counters.expired_rows).sum();
        assert_eq!(expired, 41);
        assert_healthy(&place, &topic);

        // Time travel finds them until they are deleted.
        let count = "SELECT count(*) AS n FROM ticks";
        let version = before.lake.version().to_string();
        let past = Tickhouse::new(&["query", count, "--as-of", &version]).flags(&place.flags()).succeed();
        assert_eq!(past, "n\n82\n");

        // Late rows of a date that left stay until the next time.
        topic.send(&[tick(dates[1], 82), tick(dates[3], 83)]);
        land(&topic, &place).await;
        assert_eq!(Contents::of(&place).await.rows.len(), 43);
        assert_healthy(&place, &topic);
        maintain(&place, &["--retain", "2y"]);
        assert_eq!(Contents::of(&place).await.rows.len(), 42);
        assert_healthy(&place, &topic);
        let done = maintain(&place, &["--retain", "2y"]);
        assert!(!done.contains("dropped"), "{done}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_dropped_are_missed_all_the_same() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let old: Vec<String> = (0..10).map(|number| tick(ago(900), number)).collect();
    topic.send(&old);
    land(&topic, &place).await;
    topic.send(&(10..20).map(|number| tick(ago(1), number)).collect::<Vec<_>>());
    land(&topic, &place).await;
    maintain(&place, &["--retain", "2y"]);
    // As a tool does that knows nothing of counters.
    let mut maintenance = place.maintenance().await;
    let table = &mut maintenance.tables()[0];
    let (base, view) = (table.maintenance_base().await.unwrap(), table.files().unwrap());
    let replacement = Replacement {
        base,
        removed: &view.files[..1],
        added: &[],
        partition_column: &view.partition_column,
        expired: None,
        market_zone: None,
        now_ms: 0,
    };
    let replaced = table.replace(&replacement, &RetryPolicy::default()).await.unwrap();
    assert!(matches!(replaced, ReplaceOutcome::Committed { .. }), "{replaced:?}");
    let finished = Tickhouse::new(&["verify"]).flags(&place.flags()).run();
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stdout.contains("rows-missing") && finished.stdout.contains("10 rows left"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_can_t_be_counted_stays_and_is_named() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&(0..10).map(|number| tick(ago(900), number)).collect::<Vec<_>>());
    land(&topic, &place).await;
    let lake = place.lake().await;
    let path = lake.ticks().unwrap().files[0].path.to_string();
    let file = std::path::Path::new(&place.table).join("ticks").join(&path);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    let finished = Tickhouse::new(&["maintain", "--retain", "2y"]).flags(&place.flags()).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&path), "{finished:?}");
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(Contents::of(&place).await.rows.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_whose_rows_left_with_their_date_may_be_replayed_again() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let times = ["2020-01-06T10:00:00"; 9].into_iter().enumerate();
    topic.send(&times.map(|(n, ts)| format!(r#"{{"symbol":"S{n}","ts":"{ts}","close":1}}"#)).collect::<Vec<_>>());
    until_latest(spec(&topic, &place)).await.unwrap();
    for _ in 0..3 {
        let replay = ["dead-letters", "replay", "--zone", "UTC"];
        Tickhouse::new(&replay).flags(&place.flags()).succeed();
        assert_eq!(Contents::of(&place).await.rows.len(), 9);
        assert_healthy(&place, &topic);
        maintain(&place, &["--retain", "2y"]);
        assert!(Contents::of(&place).await.rows.is_empty());
        assert_healthy(&place, &topic);
    }
}

#[test]
fn how_long_is_said_in_days_at_least() {
    for (time, told) in [("12h", "less than 1d"), ("soon", "write as in 90d"), ("0d", "less than 1d")] {
        let finished = Tickhouse::new(&["maintain", "--table", "unused", "--retain", time]).run();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_leaves_a_table_that_is_append_only() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&(0..8).map(|number| tick(ago(900), number)).collect::<Vec<_>>());
    land(&topic, &place).await;
    topic.send(&(8..16).map(|number| tick(ago(900), number)).collect::<Vec<_>>());
    land(&topic, &place).await;
    let ticks = TableFolder::new(&place, "ticks");
    let mut metadata = ticks.actions(0).into_iter().find(|action| !action["metaData"].is_null()).unwrap();
    metadata["metaData"]["configuration"]["delta.appendOnly"] = "true".into();
    ticks.write(ticks.newest() + 1, &[metadata]);
    let before = Contents::of(&place).await;
    for more in [&["--dry-run"][..], &[]] {
        let flags = [&["maintain", "--ignore-lease", "--retain", "2y"], more].concat();
        let refused = Tickhouse::new(&flags).flags(&place.flags()).run();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("delta.appendOnly") && refused.stderr.contains("--retain"), "{refused:?}");
    }
    // Fewer files with the same rows are no change of the table.
    let compacted = maintain(&place, &["--settled-after", "0s"]);
    assert!(compacted.contains("ticks,compacted,2,"), "{compacted}");
    assert_eq!(Contents::of(&place).await.rows, before.rows);
    assert_healthy(&place, &topic);
}
