//! Messages that are no ticks: counted, kept whole, and never twice.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use tickhouse::decode::{InputSettings, RejectionReason};
use tickhouse::ingest::{IngestError, IngestSpec};

use crate::support::{Contents, Outgoing, Place, Tickhouse, Topic, over_stores, spec, tick, ticks, until_latest};

const KEPT_BYTES_OF_TOO_LARGE: usize = 64 << 10;

fn poison() -> Vec<(&'static [u8], &'static str)> {
    vec![
        (b"", "empty"),
        (b"42", "not_object"),
        (br#"{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":"#, "syntax"),
        (br#"{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z"}"#, "missing_field"),
        (br#"{"symbol":"AAPL","ts":"2026-01-05T14:30:00Z","close":1e400}"#, "non_finite"),
        (br#"{"symbol":"AAPL","ts":"2026-01-05T14:30:00","close":1}"#, "naive_ts"),
        (br#"{"symbol":"","ts":"2026-01-05T14:30:00Z","close":1}"#, "bad_symbol"),
        (b"{\"symbol\":\"AAPL\xff\"}", "encoding"),
        (b"\x1f\x8b\x08\x00secret-of-a-payload", "compressed"),
        (b"\x00\x00\x00\x00\x07avro", "avro_magic"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_whole_and_the_counters_balance() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let input = InputSettings { max_message_bytes: 70_000, ..spec(&topic, &place).input };
        let large = vec![b'x'; 70_001];
        let good = ticks(0..100);
        let good = good.iter().enumerate().map(|(number, payload)| Outgoing {
            partition: number as i32 % 2,
            payload: Some(payload.as_bytes()),
            ..Outgoing::default()
        });
        let bad = poison().into_iter().map(|(payload, _)| Outgoing {
            payload: Some(payload),
            key: Some(b"key \xfe"),
            headers: vec![("trace", b"\x01\x02"), ("empty", b"")],
            ..Outgoing::default()
        });
        let tombstone = Outgoing { partition: 1, key: Some(b"gone"), ..Outgoing::default() };
        let too_large = Outgoing { partition: 1, payload: Some(&large), ..Outgoing::default() };
        let mut sent = topic.send_all(good.chain(bad));
        sent.extend(topic.send_all([tombstone, too_large]));

        let status = until_latest(IngestSpec { input, ..spec(&topic, &place) }).await.unwrap();
        let counts = status.committed;
        assert_eq!((counts.rows, counts.stored_offsets, counts.dead, counts.skipped), (100, 100, 11, 1));
        assert_eq!(status.dead[&RejectionReason::NaiveTs], 1);
        assert_eq!(status.skips.values().sum::<u64>(), 1);

        let contents = Contents::exactly(&place, &sent).await;
        let (small, large_ones): (Vec<_>, Vec<_>) = contents.letters.iter().partition(|letter| letter.partition == 0);
        let reasons: Vec<&str> = small.iter().map(|letter| letter.reason.as_str()).collect();
        assert_eq!(reasons, poison().iter().map(|(_, reason)| *reason).collect::<Vec<_>>());
        for letter in &small {
            assert_eq!(letter.key.as_deref(), Some(&b"key \xfe"[..]));
            let headers = [("trace".to_owned(), b"\x01\x02".to_vec()), ("empty".to_owned(), Vec::new())];
            assert_eq!(letter.headers, headers);
            assert_eq!(letter.sha256, hex(&letter.payload));
            assert!(!letter.detail.contains("secret-of-a-payload"));
        }
        assert_eq!(large_ones.len(), 1);
        let letter = large_ones[0];
        assert_eq!((letter.reason.as_str(), letter.payload.len()), ("too_large", KEPT_BYTES_OF_TOO_LARGE));
        assert_eq!((letter.sha256.clone(), letter.key.clone()), (hex(&large), None));
    })
    .await;
}

fn hex(payload: &[u8]) -> String {
    Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes the newest commit of ticks away: what a crash right before it leaves behind.
async fn crash_before_the_last_commit(place: &Place) {
    let lake = place.lake().await;
    let commit = Path::from(format!("_delta_log/{:020}.json", lake.version()));
    lake.ticks_store().delete(&commit).await.unwrap();
    assert_eq!(place.lake().await.version(), lake.version() - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_two_commits_repeats_no_letter() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let mut sent = topic.send(&ticks(0..10));
        until_latest(spec(&topic, &place)).await.unwrap();
        sent.extend(topic.send(&[tick(10), "bad".to_owned(), tick(11), "{".to_owned()]));
        until_latest(spec(&topic, &place)).await.unwrap();
        Contents::exactly(&place, &sent).await;

        crash_before_the_last_commit(&place).await;
        sent.extend(topic.send(&["worse".to_owned(), tick(12)]));
        let status = until_latest(spec(&topic, &place)).await.unwrap();
        assert_eq!((status.committed.rows, status.committed.dead), (3, 3));
        let contents = Contents::exactly(&place, &sent).await;
        assert_eq!(contents.letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [11, 13, 14]);
    })
    .await;
}

/// The letters in the table were written by a decoder with another opinion.
#[tokio::test(flavor = "multi_thread")]
async fn another_verdict_after_a_crash_between_the_two_commits_stops() {
    for (before, after) in [(100, 1_000), (1_000, 100)] {
        let place = Place::folder();
        let topic = Topic::new(1);
        let with = |max_message_bytes: usize| IngestSpec {
            input: InputSettings { max_message_bytes, ..spec(&topic, &place).input },
            accept_input_change: true,
            ..spec(&topic, &place)
        };
        topic.send(&ticks(0..10));
        until_latest(with(1_000)).await.unwrap();
        let long = format!("{}{}", tick(10), " ".repeat(200));
        let sent = topic.send(&[tick(10), long, tick(11), "bad".to_owned(), tick(12)]);
        until_latest(with(before)).await.unwrap();
        crash_before_the_last_commit(&place).await;

        let version = place.lake().await.version();
        let error = until_latest(with(after)).await.unwrap_err();
        assert!(matches!(error, IngestError::VerdictMismatch { partition: 0, offset: 11, .. }), "{error}");
        assert!(place.lake().await.version() <= version + 1, "nothing but the input changed");
        until_latest(with(before)).await.unwrap();
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!(contents.counters[&0].next, sent.last().unwrap().offset + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let payloads: Vec<&[u8]> = poison().iter().map(|(payload, _)| *payload).collect();
    topic.send(&payloads);
    topic.send(&["again", "and again"]);
    let log = Tickhouse::new(&["ingest", "--until-latest", "--log", "tickhouse=trace"])
        .flags(&topic.flags())
        .flags(&place.flags())
        .secret("secret-of-a-payload")
        .run();
    assert_eq!(log.code, Some(0), "{log:?}");

    let list = Tickhouse::new(&["dead-letters", "list", "--format", "csv"])
        .flags(&place.flags())
        .secret("secret-of-a-payload")
        .succeed();
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("reason,epoch,partition,count,first_offset,last_offset,"), "{list}");
    assert!(lines[1].starts_with("syntax,0,0,3,2,11,"), "{list}");
    assert_eq!(lines.len(), 1 + poison().len(), "{list}");
    let show = Tickhouse::new(&["dead-letters", "show", "--offset", "10", "--format", "ndjson"])
        .flags(&place.flags())
        .succeed();
    let letter: serde_json::Value = serde_json::from_str(&show).unwrap();
    assert_eq!((letter["offset"].as_i64(), letter["reason"].as_str()), (Some(10), Some("syntax")), "{show}");
    assert_eq!(letter["payload_sha256"], hex(b"again"), "{show}");
    assert_eq!(letter["payload"], "again", "text is shown as text");
    assert_eq!(letter["detail"], "not valid JSON, at byte 0, in again", "{show}");
    let show = Tickhouse::new(&["dead-letters", "show", "--reason", "compressed", "--format", "ndjson"])
        .flags(&place.flags())
        .succeed();
    let letter: serde_json::Value = serde_json::from_str(&show).unwrap();
    assert!(letter["payload"].as_str().unwrap().starts_with("0x1f8b08"), "{show}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_does_not_fit_stops_before_the_commit() {
    let (topic, place) = (Topic::new(2), Place::folder());
    let payload = |number: usize| format!(r#"{{"pair":"A","time":{number},"px":"secret-of-a-payload"}}"#);
    topic.send(&(0..1_200).map(payload).collect::<Vec<_>>());
    let ingest = |words: &[&str]| {
        Tickhouse::new(&[&["ingest", "--until-latest"], words].concat())
            .flags(&topic.flags())
            .flags(&place.flags())
            .secret("secret-of-a-payload")
            .run()
    };
    let stopped = ingest(&[]);
    assert_eq!(stopped.code, Some(3), "{stopped:?}");
    for told in [
        "messages became dead letters, more than --max-dead-share 0.5 allows; the batch is not committed",
        "missing_field: symbol: missing or null; /symbol is missing",
        "  /pair  string\n",
        "  /time  number\n",
        "  tickhouse ingest --dry-run --brokers ",
        "--max-dead-share 1",
    ] {
        assert!(stopped.stderr.contains(told), "{told}: {stopped:?}");
    }
    assert!(Contents::of(&place).await.letters.is_empty(), "nothing is committed");
    let taken = ingest(&["--max-dead-share", "1"]);
    assert_eq!(taken.code, Some(0), "{taken:?}");
    assert_eq!(Contents::of(&place).await.letters.len(), 1_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_timestamps_in_another_unit_are_null() {
    // Apache Kafka refuses times of the far future, unless the topic says otherwise, and soon deletes those of 1970.
    if !Topic::is_embedded() {
        return;
    }
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let millis = 1_795_185_000_123;
        let odd = [Some(millis * 1_000_000), Some(1_795_185_001), Some(1)];
        let good = r#"{"symbol":"AAPL","ts":"2026-11-20T14:30:01Z","close":1}"#;
        topic.send_all([Some(millis)].into_iter().chain(odd).flat_map(|timestamp| {
            [good, "bad"].map(|payload| Outgoing {
                payload: Some(payload.as_bytes()),
                timestamp,
                ..Outgoing::default()
            })
        }));
        let status = until_latest(spec(&topic, &place)).await.unwrap();
        assert_eq!((status.committed.rows, status.committed.dead), (4, 4));
        assert_eq!(status.coercions.kafka_timestamp, 3);
        for table in ["ticks", "dead_letters"] {
            let sql = format!("SELECT count(*) AS n, count(kafka_ts) AS known, min(kafka_ts) AS kafka_ts FROM {table}");
            let csv = Tickhouse::new(&["query", &sql, "--format", "csv"]).flags(&place.flags()).succeed();
            assert_eq!(csv, "n,known,kafka_ts\n4,1,2026-11-20T14:30:00.123Z\n", "{table}");
        }
        let verify = Tickhouse::new(&["verify", "--against-kafka"]).flags(&topic.flags()).flags(&place.flags()).run();
        assert_eq!(verify.code, Some(0), "{verify:?}");
    })
    .await;
}
