//! Counters that another tool has cleaned out of the log: named, and counted again by the next ingest.

use std::fs;

use serde_json::Value;
use tickhouse::lake::LogMaintenance;

use crate::support::{Contents, Outgoing, Place, Tickhouse, Topic, spec, ticks, until_latest, until_latest_warning};
use crate::verify::damage::TableFolder;

fn verify(place: &Place, flags: &[String]) -> (Option<i32>, Value) {
    let finished = Tickhouse::new(&["verify", "--format", "json"]).flags(&place.flags()).flags(flags).run();
    let report = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    (finished.code, report)
}

/// A tool that writes a checkpoint and deletes every commit.
async fn clean_the_log(place: &Place) {
    place.maintenance().await.run(LogMaintenance { commits: 1, clean: false }, chrono::Utc::now()).await.unwrap();
    let table = TableFolder::new(place, "ticks");
    (0..=table.newest()).map(|version| table.commit(version)).filter(|path| path.exists()).for_each(|path| {
        fs::remove_file(path).unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_were_cleaned_away_are_counted_again() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let payloads = ticks(0..60);
    let sent = |number: usize| Outgoing {
        partition: number as i32 % 2,
        payload: Some(payloads[number].as_bytes()),
        ..Outgoing::default()
    };
    let letter = Outgoing { payload: Some(b"no tick"), ..Outgoing::default() };
    let tombstone = Outgoing { key: Some(b"k"), ..Outgoing::default() };
    topic.send_all((0..40).map(sent).chain([letter, tombstone]).chain((40..50).map(sent)));
    until_latest(spec(&topic, &place)).await.unwrap();
    let before = Contents::of(&place).await.counters;
    clean_the_log(&place).await;

    let against = [vec!["--against-kafka".to_owned()], topic.flags()].concat();
    let (code, report) = verify(&place, &against);
    assert_eq!((code, &report["counts"]), (Some(4), &serde_json::json!({ "counters-missing": 1 })), "{report:#}");
    let doctor = Tickhouse::new(&["doctor"]).flags(&place.flags()).run();
    assert!(doctor.stdout.contains("ticks/counters") && doctor.stdout.contains("[0, 1]"), "{doctor:?}");

    topic.send_all((50..60).map(sent));
    let status = until_latest_warning(spec(&topic, &place), &["counted again", "counting the tables"]).await.unwrap();
    assert_eq!(status.committed.rows, 10);
    let contents = Contents::of(&place).await;
    contents.assert_balanced().await;
    for (partition, counters) in &contents.counters {
        let (known, skipped) = (&before[partition], i64::from(*partition == 0));
        assert_eq!((counters.first, counters.next), (known.first, known.next + 5));
        assert_eq!((counters.rows, counters.dead, counters.unknown), (known.rows + 5, known.dead, skipped));
        assert_eq!(counters.unplaced_before, Some(known.next));
    }
    let (code, report) = verify(&place, &against);
    assert_eq!((code, report["healthy"].as_bool()), (Some(0), Some(true)), "{report:#}");
    let unknown = &report["not_checked"][0];
    assert!(unknown.as_str().unwrap().starts_with("partition 0: why 1 offsets below"), "{report:#}");
}

/// An operator decides about offsets of a lake whose counters are gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_s_decision_has_counters_to_go_on_from() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..30));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&ticks(30..40));
    clean_the_log(&place).await;
    let set = ["offsets", "set", "--partition", "0=35", "--reason", "a test"];
    Tickhouse::new(&set).flags(&topic.flags()).flags(&place.flags()).expect_warning("count").succeed();
    until_latest(spec(&topic, &place)).await.unwrap();
    let contents = Contents::of(&place).await;
    contents.assert_balanced().await;
    let counters = &contents.counters[&0];
    assert_eq!((counters.first, counters.next, counters.rows, counters.lost), (0, 40, 35, 5));
}
