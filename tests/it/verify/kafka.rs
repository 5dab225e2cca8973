//! The tables against their topic.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use serde_json::{Value, json};
use tickhouse::decode::{InputSettings, Preset};
use tickhouse::ingest::IngestSpec;
use tickhouse::market::{ExtraSpec, ExtraType};

use super::damage::{TableFolder, with_column, without_a_row};
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
        assert_eq!((sum("skipped"), sum("given_up"), sum("not_stored")), (filled.skipped, filled.lost, 0));
        assert_eq!((sum("holes"), sum("gone")), (0, 0));
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

/// What was given up is a range: tombstones in it are no skips that the counters forgot, and as many messages elsewhere
/// are missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_loss_of_long_ago_hides_no_other() {
    let place = Place::folder();
    let topic = Topic::new(1);
    // All of one file: its statistics stay true without the messages in the middle.
    let payload =
        |number: usize| format!(r#"{{"symbol":"A","ts":"2026-01-05T14:30:{number:02}Z","close":100,"volume":1}}"#);
    let payloads: Vec<String> = (0..30).map(payload).collect();
    let sent = |number: usize| Outgoing { payload: Some(payloads[number].as_bytes()), ..Outgoing::default() };
    let tombstone = || Outgoing { key: Some(b"k"), ..Outgoing::default() };
    topic.send_all((0..10).map(sent));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send_all((0..10).map(|_| tombstone()).chain((10..30).map(sent)));
    let mut lake = place.lake().await;
    let plan = lake.plan_offsets(&[(0, 20)]).await.unwrap();
    let _given_up = lake.set_offsets(&plan, "a test").await.unwrap();
    until_latest(spec(&topic, &place)).await.unwrap();
    verify(&place, &topic.against()).assert_healthy();

    // What a defect would do: five messages are taken for holes.
    let table = TableFolder::new(&place, "ticks");
    table.rewrite(|rows| {
        let offsets = rows["kafka_offset"].as_primitive::<Int64Type>();
        let kept: BooleanArray = offsets.iter().map(|offset| Some(!(22..27).contains(&offset.unwrap()))).collect();
        filter_record_batch(&rows, &kept).unwrap()
    });
    table.edit(table.newest(), |action| {
        if let Some(counters) = action.pointer_mut("/commitInfo/tickhouse/partitions/0") {
            for (name, change) in [("rows", -5), ("stored_offsets", -5), ("holes", 5)] {
                counters[name] = json!(counters[name].as_i64().unwrap() + change);
            }
        }
    });
    let (first, _) = verify(&place, &topic.against()).only("kafka-record-not-stored", 5);
    assert_eq!(first, "partition 0, offset 22");

    // Counters of before ranges were kept forgive as many as were given up, tombstones included, and only below where
    // they ended.
    table.edit(table.newest(), |action| {
        if let Some(counters) = action.pointer_mut("/commitInfo/tickhouse/partitions/0") {
            counters.as_object_mut().unwrap().remove("lost_ranges");
        }
    });
    verify(&place, &topic.against()).only("kafka-counts-differ", 1);
    table.edit(table.newest(), |action| {
        if let Some(counters) = action.pointer_mut("/commitInfo/tickhouse/partitions/0") {
            counters["unplaced_before"] = json!(20);
        }
    });
    verify(&place, &topic.against()).only("kafka-record-not-stored", 5);
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

/// Frames of several ticks, and some without any.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_several_ticks_are_compared() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let trade = |number: u64| {
        format!(r#"{{"s":"S{}","p":{number}.5,"t":{},"v":{number}}}"#, number % 3, 1_767_700_000_000 + number)
    };
    let frames: Vec<String> = (1..40)
        .map(|number| match number % 4 {
            0 => r#"{"type":"ping"}"#.to_owned(),
            ticks => {
                let trades: Vec<String> = (0..ticks).map(|_| trade(number)).collect();
                format!(r#"{{"type":"trade","data":[{}]}}"#, trades.join(","))
            }
        })
        .collect();
    topic.send(&frames);
    let spec = || IngestSpec { input: InputSettings::preset(Preset::Finnhub), ..spec(&topic, &place) };
    until_latest(spec()).await.unwrap();
    let verified = verify(&place, &topic.against());
    verified.assert_healthy();
    let kafka = &verified.report["kafka"];
    assert_eq!((&kafka["records"], &kafka["rows"]), (&json!(39), &json!(60)), "{kafka:#}");

    let ticks = TableFolder::new(&place, "ticks");
    ticks.rewrite(|rows| {
        let second = rows["kafka_index"].as_primitive::<Int32Type>().values().iter().position(|index| *index == 1);
        let kept: BooleanArray = (0..rows.num_rows()).map(|at| Some(Some(at) != second)).collect();
        filter_record_batch(&rows, &kept).unwrap()
    });
    ticks.edit_add(|_, stats| *stats = json!({ "numRecords": stats["numRecords"] }));
    let verified = verify(&place, &topic.against());
    let counts: Vec<(String, u64)> = verified.counts().into_iter().collect();
    assert_eq!(counts, [("kafka-row-differs".to_owned(), 1), ("rows-missing".to_owned(), 1)]);
    assert!(verified.first("kafka-row-differs").1.contains("more ticks"));
    assert!(
        verified.first("rows-missing").1.starts_with("the counters say 60 rows of 30 offsets, the table has 59 of 30")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_your_own_are_compared_once_all_files_have_them() {
    let columns = || {
        let kinds = [
            ("bid", ExtraType::Double),
            ("size", ExtraType::Bigint),
            ("venue", ExtraType::String),
            ("odd", ExtraType::Boolean),
        ];
        let column = |(name, kind): (&str, _)| (name.to_owned(), ExtraSpec { path: format!("/{name}"), kind });
        kinds.into_iter().map(column).collect()
    };
    let message = |number: u32| {
        let extras = match number % 3 {
            0 => String::new(),
            _ => format!(r#","bid":{number}.75,"size":{number},"venue":"v{number}","odd":{}"#, number % 2 == 1),
        };
        let given = format!(r#""open":{number}.5,"high":{number},"trade_id":"t{number}","source":"s""#);
        format!(r#"{{"symbol":"A","ts":"2026-01-05T14:30:{number:02}Z","close":{number},{given}{extras}}}"#)
    };
    let messages: Vec<String> = (1..40).map(message).collect();
    let input = |topic: &Topic, place: &Place, extras: bool| {
        let spec = spec(topic, place);
        let columns = if extras { columns() } else { Default::default() };
        IngestSpec { input: InputSettings { columns, ..spec.input.clone() }, ..spec }
    };

    let (place, topic) = (Place::folder(), Topic::new(1));
    topic.send(&messages);
    until_latest(input(&topic, &place, true)).await.unwrap();
    verify(&place, &topic.against()).assert_healthy();
    TableFolder::new(&place, "ticks").rewrite(|rows| {
        let venues: Vec<Option<String>> = rows["venue"]
            .as_string::<i32>()
            .iter()
            .map(|venue| venue.map(|venue| venue.replace("v10", "w10")))
            .collect();
        with_column(&rows, "venue", Arc::new(StringArray::from(venues)))
    });
    let (offset, detail) = verify(&place, &topic.against()).only("kafka-row-differs", 1);
    assert_eq!((offset.as_str(), detail.as_str()), ("partition 0, offset 9", "in venue"));

    let (place, topic) = (Place::folder(), Topic::new(1));
    topic.send(&messages[..20]);
    until_latest(input(&topic, &place, false)).await.unwrap();
    topic.send(&messages[20..]);
    until_latest(input(&topic, &place, true)).await.unwrap();
    let verified = verify(&place, &topic.against());
    assert_eq!((verified.code, &verified.report["kafka"]["rows"]), (Some(0), &json!(39)), "{:#}", verified.report);
    let left_out = "Kafka: columns younger than some files: bid, odd, size, venue";
    assert_eq!(verified.report["not_checked"], json!([left_out]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_transactions_leave_are_holes() {
    // The embedded broker keeps what was aborted.
    if Topic::is_embedded() {
        return;
    }
    over_stores(async |place| {
        let topic = Topic::transactional(2);
        for (round, commit) in [true, false, true, false].into_iter().enumerate() {
            topic.begin();
            topic.send(&ticks(round * 100..round * 100 + 100));
            topic.end(commit);
        }
        until_latest(spec(&topic, &place)).await.unwrap();
        let verified = verify(&place, &topic.against());
        verified.assert_healthy();
        let partitions = verified.report["kafka"]["partitions"].as_array().unwrap();
        let sum = |name: &str| partitions.iter().map(|at| at[name].as_u64().unwrap()).sum::<u64>();
        // Each transaction leaves a marker in each partition.
        assert_eq!((sum("rows"), sum("holes"), sum("gone")), (200, 200 + 4 * 2, 0));
    })
    .await;
}
