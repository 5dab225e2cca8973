//! `tickhouse dead-letters replay`: every open letter becomes ticks once, whoever runs it and how often.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;
use tickhouse::decode::{InputSettings, Preset, RejectionReason};
use tickhouse::ingest::IngestSpec;
use tickhouse::ingest::dead_letter_replay::{DeadLetterReplaySettings, ReplayFilter, ReplayReport, replay};
use tickhouse::market::PartitionBy;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Contents, Letter, Outgoing, Place, Tickhouse, Topic, ingest, over_stores, spec, ticks, until_latest,
};
use crate::verify::damage::{TableFolder, with_column};

/// A message of the preset price-change; no tick for a canonical lake. Half an hour before midnight in New York.
fn price(number: usize) -> String {
    format!(
        r#"{{"symbol":"SYM{}","price":{}.5,"volume":{number},"timestamp":"2026-01-{:02}T23:30:00.{number:06}"}}"#,
        number % 7,
        100 + number,
        30 + number % 2
    )
}

fn prices(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(price).collect()
}

const PRICES: [&str; 4] = ["--input", "price-change", "--zone", "America/New_York"];

fn price_input() -> InputSettings {
    let zone = Some("America/New_York".to_owned());
    InputSettings { preset: Some(Preset::PriceChange), zone, ..InputSettings::default() }
}

fn command(place: &Place, words: &[&str]) -> Tickhouse {
    Tickhouse::new(&[&["dead-letters", "replay", "--format", "json"], words].concat()).flags(&place.flags())
}

/// The report of a run that was a good one.
fn replayed(place: &Place, words: &[&str]) -> Value {
    let text = command(place, words).succeed();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn of<'a>(report: &'a Value, reason: &str) -> BTreeMap<&'a str, u64> {
    let counts = report["reasons"][reason].as_object().unwrap_or_else(|| panic!("{report:#}"));
    counts
        .iter()
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn assert_healthy(place: &Place, topic: Option<&Topic>) {
    let mut verify = Tickhouse::new(&["verify", "--format", "json"]).flags(&place.flags());
    if let Some(topic) = topic {
        verify = verify.flags(&["--against-kafka".to_owned()]).flags(&topic.flags());
    }
    let finished = verify.run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn settings(place: &Place) -> DeadLetterReplaySettings {
    DeadLetterReplaySettings {
        location: place.location(),
        store: place.store(),
        filter: ReplayFilter::default(),
        input: Some(price_input()),
        dry_run: false,
        dead_letters_per_commit: 100_000,
    }
}

async fn run(settings: DeadLetterReplaySettings) -> ReplayReport {
    replay(settings, &CancellationToken::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_become_ticks_by_another_mapping_once() {
    over_stores(async |place| {
        let topic = Topic::new(2);
        let mut with = spec(&topic, &place);
        with.settings.market_zone = "America/New_York".to_owned();
        with.settings.partition_by = PartitionBy::Month;
        with.input.max_message_bytes = 70_000;
        topic.send(&ticks(0..20));
        topic.send(&prices(0..30));
        topic.send(&["again".to_owned(), "{".to_owned(), "x".repeat(70_001)]);
        until_latest(with).await.unwrap();
        let before = Contents::of(&place).await;
        assert_eq!((before.rows.len(), before.letters.len()), (20, 33));

        let dry = replayed(&place, &[&PRICES[..], &["--dry-run"]].concat());
        assert_eq!(of(&dry, "missing_field"), BTreeMap::from([("letters", 30), ("replayed", 30), ("rows", 30)]));
        assert_eq!(of(&dry, "syntax"), BTreeMap::from([("letters", 2), ("still_bad", 2)]));
        assert_eq!(of(&dry, "too_large"), BTreeMap::from([("letters", 1), ("cut", 1)]));
        assert_eq!(dry["still_bad"], serde_json::json!({"syntax": 2}));
        assert_eq!((dry["examples"].as_array().unwrap().len(), dry["version"].is_null()), (2, true));
        assert_eq!(place.lake().await.version(), before.lake.version());

        let nothing = replayed(&place, &[]);
        assert_eq!(of(&nothing, "missing_field"), BTreeMap::from([("letters", 30), ("still_bad", 30)]));
        let bad_only = replayed(&place, &[&PRICES[..], &["--reason", "syntax,too_large"]].concat());
        assert_eq!(bad_only["reasons"].as_object().unwrap().len(), 2, "{bad_only:#}");
        assert_eq!(place.lake().await.version(), before.lake.version());

        let some = replayed(&place, &[&PRICES[..], &["--partition", "1", "--reason", "missing_field"]].concat());
        assert_eq!(of(&some, "missing_field"), BTreeMap::from([("letters", 15), ("replayed", 15), ("rows", 15)]));
        let done = replayed(&place, &[&PRICES[..], &["--from", "1h", "--to", "2030-01-01"]].concat());
        let expected = [("letters", 30), ("replayed", 15), ("replayed_before", 15), ("rows", 15)];
        assert_eq!(of(&done, "missing_field"), BTreeMap::from(expected));
        assert_eq!(place.lake().await.version(), before.lake.version() + 2);
        let again = replayed(&place, &PRICES);
        assert_eq!(of(&again, "missing_field"), BTreeMap::from([("letters", 30), ("replayed_before", 30)]));
        assert!(again["version"].is_null());

        let after = Contents::of(&place).await;
        assert_eq!(after.lake.version(), before.lake.version() + 2);
        assert_eq!(after.letters, before.letters);
        after.assert_balanced().await;
        let added: Vec<_> = after.rows.iter().filter(|row| !before.rows.contains(row)).collect();
        assert_eq!(added.len(), 30);
        for row in added {
            let number = row.volume.unwrap() as usize;
            let letter = |letter: &&Letter| (letter.partition, letter.offset) == (row.partition, row.offset);
            let letter = before.letters.iter().find(letter).unwrap();
            assert_eq!(letter.payload, price(number).as_bytes());
            // 23:30 in New York is 04:30 UTC of the day after, which may be of the next month.
            let day = format!("2026-01-{:02}T04:30:00Z", 30 + number % 2);
            let ts = chrono::DateTime::parse_from_rfc3339(&day).unwrap().timestamp_micros() + 86_400_000_000;
            assert_eq!((row.ts, row.close), (ts + number as i64, 100.5 + number as f64));
            let january = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            let days = january.signed_duration_since(chrono::NaiveDate::default()).num_days();
            assert_eq!(i64::from(row.date), days, "January by the market's calendar");
        }
        assert_healthy(&place, Some(&topic));
        let history = Tickhouse::new(&["table", "history", "--format", "csv"]).flags(&place.flags()).succeed();
        assert_eq!(history.matches("dead-letters replay").count(), 2, "{history}");
        let list = |words: &[&str]| {
            let list = Tickhouse::new(&[&["dead-letters", "list", "--format", "csv"], words].concat());
            let text = list.flags(&place.flags()).succeed();
            text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<String>>()
        };
        assert_eq!(list(&[]), ["missing_field", "missing_field", "syntax", "syntax", "too_large"]);
        assert_eq!(list(&["--open"]), ["syntax", "syntax", "too_large"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_replays_at_once_add_every_row_once() {
    over_stores(async |place| {
        let topic = Topic::new(3);
        topic.send(&prices(0..400));
        topic.send(&["again"]);
        until_latest(spec(&topic, &place)).await.unwrap();
        let settings = DeadLetterReplaySettings { dead_letters_per_commit: 50, ..settings(&place) };
        let runs: Vec<_> = (0..3).map(|_| tokio::spawn(run(settings.clone()))).collect();
        let (mut letters, mut commits) = (0, 0);
        for run in runs {
            let report = run.await.unwrap();
            let all = report.all();
            assert_eq!((all.letters, all.replayed + all.replayed_before, all.still_bad), (401, 400, 1), "{report:?}");
            (letters, commits) = (letters + all.replayed, commits + report.commits);
        }
        assert_eq!(letters, 400);
        assert!(commits >= 7, "{commits}");
        let contents = Contents::of(&place).await;
        assert_eq!((contents.rows.len(), contents.lake.replays().await.unwrap()), (400, Some(commits as i64)));
        contents.assert_balanced().await;
        assert_healthy(&place, Some(&topic));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_goes_on_beside_a_replay() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let mut worker = ingest(spec(&topic, &place)).await;
    let (mut sent, mut letters) = (0, 0);
    for round in 0..6 {
        topic.send(&ticks(round * 40..round * 40 + 40));
        topic.send(&prices(round * 30..round * 30 + 30));
        sent += 70;
        if round == 0 {
            worker.committed(sent).await;
        }
        let report = run(DeadLetterReplaySettings { dead_letters_per_commit: 10, ..settings(&place) }).await;
        letters += report.all().replayed;
    }
    worker.committed(sent).await;
    letters += run(settings(&place)).await.all().replayed;
    topic.send(&ticks(0..10));
    worker.committed(sent + 10).await;
    worker.stop().await;
    let contents = Contents::of(&place).await;
    assert_eq!((letters, contents.rows.len(), contents.letters.len()), (180, 6 * 70 + 10, 180));
    contents.assert_balanced().await;
    assert_healthy(&place, Some(&topic));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mapping_of_the_lake_is_the_one_of_now() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..5));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&prices(5..9));
    let changed = IngestSpec { input: price_input(), accept_input_change: true, ..spec(&topic, &place) };
    until_latest(changed).await.unwrap();
    let report = replayed(&place, &["--reason", "missing_field"]);
    assert_eq!(of(&report, "missing_field"), BTreeMap::from([("letters", 5), ("replayed", 5), ("rows", 5)]));
    assert_eq!(Contents::of(&place).await.rows.len(), 9);
    assert_healthy(&place, None);

    let with_column = place.table.clone() + ".toml";
    std::fs::write(&with_column, "[columns.bid]\npath = \"/b\"\ntype = \"double\"\n").unwrap();
    let refused = command(&place, &["--config", &with_column]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("'bid'"), "{refused:?}");
    let refused = command(&place, &["--reason", "sintax"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("missing_field"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_becomes_all_of_its_ticks() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let trade = |number: i64| format!(r#"{{"s":"A","p":{number}.5,"t":{},"v":2}}"#, 1_767_623_400_000 + number);
    let frame = |of: std::ops::Range<i64>| {
        format!(r#"{{"type":"trade","data":[{}]}}"#, of.map(trade).collect::<Vec<_>>().join(","))
    };
    let key = |payload: &'static [u8]| Outgoing { payload: Some(payload), key: Some(b"k"), ..Outgoing::default() };
    topic.send(&[frame(1..4), r#"{"type":"ping"}"#.to_owned(), frame(4..5)]);
    topic.send_all([key(b"{"), key(b"42")]);
    until_latest(spec(&topic, &place)).await.unwrap();
    let report = replayed(&place, &["--input", "finnhub"]);
    let expected = [("letters", 3), ("replayed", 2), ("rows", 4), ("skipped", 1)];
    assert_eq!(of(&report, "missing_field"), BTreeMap::from(expected), "{report:#}");
    let contents = Contents::of(&place).await;
    let rows: Vec<_> = contents.rows.iter().map(|row| (row.offset, row.index)).collect();
    assert_eq!(rows, [(0, 0), (0, 1), (0, 2), (2, 0)]);
    contents.assert_balanced().await;
    assert_healthy(&place, Some(&topic));
}

/// Letters are committed before the ticks beside them; a crash in between leaves letters that ingest reads again.
#[tokio::test(flavor = "multi_thread")]
async fn letters_ahead_of_ingest_wait() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..3));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&prices(3..8));
    until_latest(spec(&topic, &place)).await.unwrap();
    let lake = place.lake().await;
    let commit = Path::from(format!("_delta_log/{:020}.json", lake.version()));
    lake.ticks_store().delete(&commit).await.unwrap();

    let report = run(settings(&place)).await;
    assert_eq!((report.all().replayed, report.ahead), (3, 5));
    until_latest(spec(&topic, &place)).await.unwrap();
    let report = run(settings(&place)).await;
    assert_eq!((report.all().replayed, report.all().replayed_before, report.ahead), (5, 3, 0));
    Contents::of(&place).await.assert_balanced().await;
    assert_healthy(&place, Some(&topic));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_an_earlier_epoch_keep_their_identity() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..6));
    until_latest(spec(&topic, &place)).await.unwrap();
    let mut lake = place.lake().await;
    lake.begin_epoch(&topic.identity(), "a test").await.unwrap();
    until_latest(spec(&topic, &place)).await.unwrap();
    let first = run(DeadLetterReplaySettings { dead_letters_per_commit: 4, ..settings(&place) }).await;
    assert_eq!((first.all().letters, first.all().replayed), (12, 12));
    let second = run(settings(&place)).await;
    assert_eq!((second.all().replayed, second.all().replayed_before), (0, 12));
    let contents = Contents::of(&place).await;
    assert_eq!((contents.rows_of(0), contents.rows_of(1)), (6, 6));
    assert_eq!((contents.counters[&0].replayed_offsets, contents.counters[&0].replayed_rows), (6, 6));
    assert_healthy(&place, Some(&topic));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_replay_commits_nothing_by_halves() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..200));
    until_latest(spec(&topic, &place)).await.unwrap();
    let version = place.lake().await.version();
    let stopped = CancellationToken::new();
    stopped.cancel();
    let report = replay(settings(&place), &stopped).await.unwrap();
    assert!(report.stopped && report.commits == 0, "{report:?}");
    assert_eq!(place.lake().await.version(), version);
    let reasons = vec![RejectionReason::MissingField];
    let report = run(DeadLetterReplaySettings {
        filter: ReplayFilter { reasons, ..ReplayFilter::default() },
        ..settings(&place)
    })
    .await;
    assert_eq!(report.all().replayed, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_not_what_its_hash_says_is_refused() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..3));
    until_latest(spec(&topic, &place)).await.unwrap();
    let letters = TableFolder::new(&place, "dead_letters");
    letters.rewrite(|rows| {
        let payloads: Vec<&[u8]> = vec![b"{}"; rows.num_rows()];
        let payloads = arrow::array::BinaryArray::from_vec(payloads);
        with_column(&rows, "payload", Arc::new(payloads))
    });
    // Two bytes are less than the message had, and less than is kept of a large one.
    let refused = command(&place, &PRICES).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("payload_sha256"), "{refused:?}");
    letters.rewrite(|rows| {
        let sizes = arrow::array::Int64Array::from(vec![2; rows.num_rows()]);
        with_column(&rows, "payload_bytes", Arc::new(sizes))
    });
    let refused = command(&place, &PRICES).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("payload_sha256"), "{refused:?}");
    assert!(Contents::of(&place).await.rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_sees_damage_to_what_was_replayed() {
    let healthy = Place::folder();
    let topic = Topic::new(1);
    topic.send(&prices(0..20));
    topic.send(&ticks(0..5));
    until_latest(spec(&topic, &healthy)).await.unwrap();
    assert_eq!(run(settings(&healthy)).await.all().replayed, 20);
    assert_healthy(&healthy, Some(&topic));
    let findings = |place: &Place| {
        let finished = Tickhouse::new(&["verify", "--format", "json"]).flags(&place.flags()).run();
        let report: Value = serde_json::from_str(&finished.stdout).unwrap();
        let counts: BTreeMap<String, u64> = serde_json::from_value(report["counts"].clone()).unwrap();
        (finished.code, counts.into_keys().collect::<Vec<String>>())
    };
    let only = |what: &str| (Some(4), vec![what.to_owned()]);

    // The rows of the replay go, its counters stay.
    let place = healthy.copied();
    let table = TableFolder::new(&place, "ticks");
    let mut actions = table.actions(table.newest());
    actions.retain(|action| action["add"].is_null());
    table.write(table.newest(), &actions);
    assert_eq!(findings(&place), only("replayed-rows-missing"));

    // Rows of dead letters that no replay counted.
    let place = healthy.copied();
    let table = TableFolder::new(&place, "ticks");
    table.edit(table.newest(), |action| {
        if let Some(counters) = action.pointer_mut("/commitInfo/tickhouse/partitions/0") {
            counters["replayed_rows"] = 19.into();
            counters["replayed_offsets"] = 19.into();
        }
    });
    assert_eq!(findings(&place), only("replayed-rows-surplus"));

    // The same rows once more.
    let place = healthy.copied();
    let table = TableFolder::new(&place, "ticks");
    let (_, add) = table.newest_add();
    let mut again = add.clone();
    again["path"] = add["path"].as_str().unwrap().replace("part-", "part-again-").into();
    std::fs::copy(table.file(&add), table.file(&again)).unwrap();
    let mut actions = table.actions(table.newest());
    actions.push(serde_json::json!({ "add": again }));
    table.write(table.newest(), &actions);
    assert_eq!(findings(&place), only("identity-twice"));
}
