//! The zone of trade dates: nobody gets another market's without a word, and a lake can be taken into another zone.

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use tickhouse::ingest::{IngestSettings, IngestSpec, MaintainMode};
use tickhouse::lake::{ReplaceOutcome, Replacement, RetryPolicy};
use tickhouse::market::PartitionBy;

use crate::support::{Contents, Place, Tickhouse, Topic, assert_healthy, ingest, over_stores, spec, until_latest};

const KOLKATA: &str = "Asia/Kolkata";
const EPOCH_FROM_CE: i32 = 719_163;

/// Ticks around the clock, of which a third has another date in India than in New York or UTC; every eleventh is none.
fn payloads(numbers: std::ops::Range<usize>) -> Vec<String> {
    let payload = |number: usize| {
        if number % 11 == 10 {
            return format!("no tick {number}");
        }
        let (day, hour) = (5 + number / 48, number / 2 % 24);
        format!(
            r#"{{"symbol":"S{}","ts":"2026-01-{day:02}T{hour:02}:{:02}:00.123456Z","close":{number}.25}}"#,
            number % 3,
            number % 60
        )
    };
    numbers.map(payload).collect()
}

fn date_in(zone: &str, ts: i64) -> i32 {
    let zone: Tz = zone.parse().unwrap();
    DateTime::from_timestamp_micros(ts).unwrap().with_timezone(&zone).date_naive().num_days_from_ce() - EPOCH_FROM_CE
}

fn in_zone(topic: &Topic, place: &Place, zone: &str, by: PartitionBy) -> IngestSpec {
    let spec = spec(topic, place);
    let settings = IngestSettings {
        market_zone: zone.to_owned(),
        partition_by: by,
        flush_rows: 30,
        maintain: MaintainMode::Off,
        ..spec.settings
    };
    IngestSpec { settings, ..spec }
}

fn rezone(place: &Place, zone: &str) -> Tickhouse {
    Tickhouse::new(&["table", "rezone", "--market-zone", zone]).flags(&place.flags())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_gets_the_dates_of_another_zone() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let mut sent = topic.send(&payloads(0..300));
        until_latest(in_zone(&topic, &place, "America/New_York", PartitionBy::Day)).await.unwrap();
        let before = Contents::of(&place).await;
        assert!(before.rows.iter().all(|row| row.date == date_in("America/New_York", row.ts)));

        let planned = Tickhouse::new(&["table", "rezone", "--market-zone", KOLKATA, "--dry-run"]).flags(&place.flags());
        assert!(planned.succeed().contains("ticks: would rewrite"));
        assert_eq!(Contents::of(&place).await.lake.version(), before.lake.version());

        let done = rezone(&place, KOLKATA).succeed();
        assert!(done.contains("ticks: trade dates are of Asia/Kolkata; "), "{done}");
        let after = Contents::of(&place).await;
        assert_eq!(after.lake.version(), before.lake.version() + 1, "one commit");
        assert_eq!(after.lake.market_zone(), Some(KOLKATA));
        let mut expected = before.rows.clone();
        expected.iter_mut().for_each(|row| row.date = date_in(KOLKATA, row.ts));
        assert_ne!(expected, before.rows);
        assert_eq!(after.rows, expected);
        assert_eq!((&after.letters, &after.counters), (&before.letters, &before.counters));
        assert_healthy(&place, &topic);
        let history = Tickhouse::new(&["table", "history", "--limit", "1", "--format", "csv"]).flags(&place.flags());
        assert!(history.succeed().contains(",UPDATE,"));

        // Ingest goes on where it was, and only in the new zone.
        sent.extend(topic.send(&payloads(300..400)));
        let old = until_latest(in_zone(&topic, &place, "America/New_York", PartitionBy::Day)).await.unwrap_err();
        assert!(old.to_string().contains("tickhouse table rezone"), "{old}");
        until_latest(in_zone(&topic, &place, KOLKATA, PartitionBy::Day)).await.unwrap();
        let last = Contents::exactly(&place, &sent).await;
        assert!(last.rows.iter().all(|row| row.date == date_in(KOLKATA, row.ts)));
        assert_healthy(&place, &topic);

        let again = rezone(&place, KOLKATA).succeed();
        assert!(again.contains("of Asia/Kolkata already"), "{again}");
        rezone(&place, "America/New_York").succeed();
        let back = Contents::of(&place).await;
        assert!(back.rows.iter().all(|row| row.date == date_in("America/New_York", row.ts)));
        assert_healthy(&place, &topic);
    })
    .await;
}

/// Files of months hold the trade date as a column.
#[tokio::test(flavor = "multi_thread")]
async fn months_get_the_dates_of_another_zone() {
    let (topic, place) = (Topic::new(1), Place::folder());
    topic.send(&payloads(0..100));
    let turn: Vec<String> =
        (0..24).map(|hour| format!(r#"{{"symbol":"T","ts":"2026-01-31T{hour:02}:30:00Z","close":1}}"#)).collect();
    topic.send(&turn);
    until_latest(in_zone(&topic, &place, "UTC", PartitionBy::Month)).await.unwrap();
    rezone(&place, KOLKATA).succeed();
    assert_healthy(&place, &topic);
    let sql = "SELECT trade_month, trade_date, count(*) AS n FROM ticks WHERE symbol = 'T' GROUP BY 1, 2 ORDER BY 1";
    let found = Tickhouse::new(&["query", sql, "--format", "csv"]).flags(&place.flags()).succeed();
    let expected = "trade_month,trade_date,n\n2026-01-01,2026-01-31,18\n2026-02-01,2026-02-01,6\n";
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_the_old_zone_stops_before_its_next_commit() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let mut sent = topic.send(&payloads(0..60));
    let mut worker = ingest(in_zone(&topic, &place, "UTC", PartitionBy::Day)).await;
    worker.committed(60).await;
    rezone(&place, KOLKATA).succeed();
    sent.extend(topic.send(&payloads(60..120)));
    let ended = worker.end().await.unwrap_err();
    assert!(ended.to_string().contains("start again with --market-zone Asia/Kolkata"), "{ended}");
    until_latest(in_zone(&topic, &place, KOLKATA, PartitionBy::Day)).await.unwrap();
    let last = Contents::exactly(&place, &sent).await;
    assert!(last.rows.iter().all(|row| row.date == date_in(KOLKATA, row.ts)));
    assert_healthy(&place, &topic);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_meanwhile_is_not_left_in_the_old_zone() {
    let (topic, place) = (Topic::new(1), Place::folder());
    topic.send(&payloads(0..60));
    until_latest(in_zone(&topic, &place, "UTC", PartitionBy::Day)).await.unwrap();
    let mut maintenance = place.maintenance().await;
    let table = &mut maintenance.tables()[0];
    let (base, view) = (table.maintenance_base().await.unwrap(), table.files().unwrap());
    topic.send(&payloads(60..90));
    until_latest(in_zone(&topic, &place, "UTC", PartitionBy::Day)).await.unwrap();
    assert!(table.has_newer().await.unwrap());
    let replacement = Replacement {
        base,
        removed: &[],
        added: &[],
        partition_column: &view.partition_column,
        expired: None,
        market_zone: Some(KOLKATA),
        now_ms: 0,
    };
    assert_eq!(table.replace(&replacement, &RetryPolicy::default()).await.unwrap(), ReplaceOutcome::Conflict);
    assert_eq!(place.lake().await.market_zone(), Some("UTC"));
}

#[test]
fn a_named_zone_asks_for_that_of_trade_dates() {
    let (topic, place) = (Topic::new(1), Place::folder());
    topic.send(&[r#"{"symbol":"INFY","ts":"2026-01-05T09:15:00","close":1600}"#]);
    let ingest = |flags: &[&str]| {
        let words = [&["ingest", "--until-latest", "--zone", KOLKATA], flags].concat();
        Tickhouse::new(&words).flags(&topic.flags()).flags(&place.flags())
    };
    let asked = ingest(&[]).run();
    assert_eq!(asked.code, Some(2), "{asked:?}");
    for way_out in ["--market-zone Asia/Kolkata", "--market-zone America/New_York"] {
        assert!(asked.stderr.contains(way_out), "{asked:?}");
    }
    ingest(&["--market-zone", KOLKATA]).succeed();
    let flags = place.flags();
    let run = |words: &[&str]| Tickhouse::new(words).flags(&flags).run();
    let schema = run(&["table", "schema", "--format", "csv"]).stdout;
    assert!(schema.starts_with("column,type,nullable,partition,zone\n"), "{schema}");
    assert!(schema.contains("trade_date,DATE,false,true,Asia/Kolkata\n"), "{schema}");
    assert!(schema.contains("ts,TIMESTAMP,false,false,UTC\n"), "{schema}");
    for name in ["symbols", "daily_summary"] {
        let finished = run(&["query", name]);
        assert!(finished.stderr.contains("trade dates are of Asia/Kolkata"), "{finished:?}");
        assert!(!finished.stdout.contains("Kolkata"), "{finished:?}");
    }
}
