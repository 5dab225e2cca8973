//! The tables against their topic.

use std::cell::Cell;

use serde_json::{Value, json};

use super::damage::{TableFolder, without_a_row};
use super::{filled, verify};
use crate::support::{Outgoing, Place, Topic, over_stores, spec, tick, ticks, until_latest};

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_lake_is_what_its_topic_holds() {
    over_stores(async |place| {
        let filled = filled(&place).await;
        let verified = verify(&place, &filled.topic.against());
        verified.assert_healthy();
        let kafka = &verified.report["kafka"];
        let sum = |name: &str| {
            kafka["partitions"].as_array().unwrap().iter().map(|at| at[name].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!((&kafka["rows"], &kafka["dead_letters"]), (&json!(filled.rows), &json!(filled.dead)));
        assert_eq!((sum("skipped"), sum("not_stored"), sum("holes"), sum("gone")), (filled.skipped, filled.lost, 0, 0));
        assert_eq!(kafka["records"], filled.rows + filled.dead + filled.skipped + filled.lost);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_stored_is_named() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..90));
    until_latest(spec(&topic, &place)).await.unwrap();
    let gone = Cell::new(0);
    TableFolder::new(&place, "ticks").rewrite(|rows| {
        let (rows, offset) = without_a_row(&rows);
        gone.set(offset);
        rows
    });
    let verified = verify(&place, &topic.against());
    let counts: Vec<(String, u64)> = verified.counts().into_iter().collect();
    assert_eq!(counts, [("kafka-record-not-stored".to_owned(), 1), ("rows-missing".to_owned(), 1)]);
    let (offset, detail) = verified.first("kafka-record-not-stored");
    assert_eq!(offset, format!("partition 0, offset {}", gone.get()));
    assert!(detail.starts_with("it holds 1 ticks"), "{detail}");
}

/// Messages of a topic: at one offset a dead letter, at another a skip.
fn messages<'a>(payloads: &'a [String], letter: &'a [u8]) -> Vec<Outgoing<'a>> {
    let at = |number: usize, payload| Outgoing {
        payload,
        timestamp: Some(1_768_000_000_000 + number as i64),
        ..Outgoing::default()
    };
    let mut all: Vec<Outgoing<'_>> =
        payloads.iter().enumerate().map(|(number, payload)| at(number, Some(payload.as_bytes()))).collect();
    all[7] = at(7, Some(letter));
    all[8] = at(8, None);
    all
}

/// The lake is told that it is of the other cluster, so that both hold the same offsets and different messages.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_differ_are_named() {
    if !Topic::is_embedded() {
        return;
    }
    let place = Place::folder();
    let payloads = ticks(0..50);
    let topic = Topic::named("payloads", 1);
    topic.send_all(messages(&payloads, b"no tick"));
    until_latest(spec(&topic, &place)).await.unwrap();
    verify(&place, &topic.against()).assert_healthy();

    let mut others = payloads.clone();
    others[20] = others[20].replace(r#""close":120.25"#, r#""close":120.5"#);
    others[21] = others[21].replace(r#""volume":21"#, r#""volume":22"#).replace("MSFT", "AAPL");
    others[22] = "no tick any more".to_owned();
    let other = Topic::named("payloads", 1);
    other.send_all(messages(&others, b"NO tick"));
    let refused = crate::support::Tickhouse::new(&["verify"]).flags(&place.flags()).flags(&other.against()).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("cluster"), "{refused:?}");

    let table = TableFolder::new(&place, "ticks");
    let cluster = json!(other.identity().cluster_id);
    table.edit(0, |action| {
        if let Some(metadata) = action.get_mut("metaData") {
            metadata["configuration"]["tickhouse.cluster_id"] = cluster.clone();
        }
    });
    let verified = verify(&place, &other.against());
    assert_eq!(verified.code, Some(4));
    let found = |what: &str| -> Vec<(Value, Value)> {
        let all = verified.report["findings"].as_array().unwrap().iter().filter(|finding| finding["what"] == what);
        all.map(|finding| (finding["where"].clone(), finding["detail"].clone())).collect()
    };
    let at = |offset: u64| json!(format!("partition 0, offset {offset}"));
    let rows = [(at(20), json!("in close")), (at(21), json!("in symbol, volume"))];
    assert_eq!(found("kafka-row-differs"), rows, "{:#}", verified.report);
    assert_eq!(found("kafka-payload-differs")[0].0, at(7));
    let verdict = &found("kafka-verdict-differs")[0];
    assert_eq!(verdict, &(at(22), json!("the table has rows, Kafka's record is a dead letter (syntax)")));
    assert_eq!(verified.counts().values().sum::<u64>(), 4, "{:#}", verified.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_kafka_still_holds_is_compared() {
    if !Topic::is_embedded() {
        return;
    }
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..10));
    until_latest(spec(&topic, &place)).await.unwrap();
    // The embedded broker keeps 5 MiB of a partition.
    for number in 10..90 {
        topic.send(&[format!("{}{}", tick(number), " ".repeat(100_000))]);
        if number % 30 == 0 {
            until_latest(spec(&topic, &place)).await.unwrap();
        }
    }
    until_latest(spec(&topic, &place)).await.unwrap();
    let low = topic.low();
    assert!(low > 10, "{low}");
    let verified = verify(&place, &topic.against());
    verified.assert_healthy();
    let at = &verified.report["kafka"]["partitions"][0];
    assert_eq!((&at["start"], &at["next"], &at["rows"]), (&json!(low), &json!(90), &json!(90 - low)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_ends_before_the_table_is_named() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..10));
    until_latest(spec(&topic, &place)).await.unwrap();
    let mut lake = place.lake().await;
    let plan = lake.plan_offsets(&[(0, 500)]).await.unwrap();
    let _outcome = lake.set_offsets(&plan, "a topic that was longer").await.unwrap();
    let (partition, detail) = verify(&place, &topic.against()).only("kafka-ends-before-table", 1);
    assert_eq!(partition, "partition 0");
    assert_eq!(detail, "the table goes to 500, Kafka ends at 10");
}
