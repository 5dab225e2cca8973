//! Where an ingest begins, when it commits, and how it ends.

use std::time::{Duration, Instant};

use tickhouse::ingest::{
    GoalUnreached, IngestDaemon, IngestError, IngestSettings, IngestSpec, PartitionBehind, StartPolicy, UnreachedReason,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Contents, Outgoing, Place, Tickhouse, Topic, ingest, over_stores, spec, ticks, until_latest};

const HOUR: Duration = Duration::from_secs(3_600);

fn starting(topic: &Topic, place: &Place, start: &str) -> IngestSpec {
    let start: StartPolicy = start.parse().unwrap();
    IngestSpec { settings: IngestSettings { start, ..spec(topic, place).settings }, ..spec(topic, place) }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_begins_at_the_end() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..100));
    let status = until_latest(starting(&topic, &place, "latest")).await.unwrap();
    assert_eq!((status.committed.rows, status.lag), (0, 0));
    assert_eq!(status.version, place.lake().await.version());
    // The table has learnt where that was: what came while nobody read is not skipped.
    let mut sent = topic.send(&ticks(100..150));
    until_latest(starting(&topic, &place, "latest")).await.unwrap();
    Contents::exactly(&place, &sent).await;
    sent.extend(topic.send(&ticks(150..170)));
    until_latest(spec(&topic, &place)).await.unwrap();
    Contents::exactly(&place, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_begin_where_they_say() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let sent = topic.send(&ticks(0..100));
    let error = until_latest(starting(&topic, &place, "0=10")).await.unwrap_err();
    assert!(matches!(&error, IngestError::Start(text) if text.contains("partition 1")), "{error}");
    let error = until_latest(starting(&topic, &place, "0=10,1=51")).await.unwrap_err();
    assert!(matches!(&error, IngestError::Start(text) if text.contains("[0, 50)")), "{error}");
    until_latest(starting(&topic, &place, "0=10,1=50")).await.unwrap();
    let of_the_first = |from: i64| sent.iter().filter(move |one| one.partition == 0 && one.offset >= from).cloned();
    Contents::exactly(&place, &of_the_first(10).collect::<Vec<_>>()).await;
    // The table knows better than the policy, also where there was nothing to read yet.
    until_latest(starting(&topic, &place, "0=0,1=0")).await.unwrap();
    Contents::exactly(&place, &of_the_first(10).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_begins_at_the_first_message_after_it() {
    if Topic::is_embedded() {
        eprintln!("the embedded broker doesn't look up times: run with TICKHOUSE_TEST_BROKERS");
        return;
    }
    let place = Place::folder();
    let topic = Topic::new(1);
    let first = chrono::Utc::now() - chrono::Duration::seconds(200);
    let at = |number: i64| first + chrono::Duration::seconds(number);
    let payloads = ticks(0..100);
    let sent = topic.send_all(payloads.iter().zip(0..).map(|(payload, number)| Outgoing {
        payload: Some(payload.as_bytes()),
        timestamp: Some(at(number).timestamp_millis()),
        ..Outgoing::default()
    }));
    let time = (at(60) - chrono::Duration::milliseconds(500)).to_rfc3339();
    until_latest(starting(&topic, &place, &time)).await.unwrap();
    Contents::exactly(&place, &sent[60..]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_batch_is_committed_before_its_time() {
    let place = Place::folder();
    let topic = Topic::new(1);
    let never = IngestSettings { flush_interval: HOUR, idle_commit_interval: HOUR, ..spec(&topic, &place).settings };
    let by_rows = IngestSettings { flush_rows: 100, ..never.clone() };
    let by_bytes = IngestSettings { flush_bytes: 4_096, ..never };
    let mut sent = Vec::new();
    for settings in [by_rows, by_bytes] {
        let mut worker = ingest(IngestSpec { settings, ..spec(&topic, &place) }).await;
        sent.extend(topic.send(&ticks(sent.len()..sent.len() + 300)));
        worker.committed(100).await;
        let status = worker.stop().await;
        assert_eq!(status.committed.rows, 300, "a stop commits the rest");
    }
    Contents::exactly(&place, &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_stopped_before_the_ends_says_so() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let sent = topic.send(&ticks(0..100));
    let stop = CancellationToken::new();
    let batch = IngestSpec { until_latest: true, ..spec(&topic, &place) };
    let daemon = IngestDaemon::open(batch, &stop).await.unwrap().unwrap();
    stop.cancel();
    let error = daemon.run(stop).await.unwrap_err();
    let expected = GoalUnreached {
        reason: UnreachedReason::Stopped,
        behind: vec![PartitionBehind { partition: 0, next: None, end: Some(100) }],
    };
    assert!(matches!(&error, IngestError::Unreached(unreached) if *unreached == expected), "{error}");
    until_latest(spec(&topic, &place)).await.unwrap();
    Contents::exactly(&place, &sent).await;
    // A daemon is meant to be stopped.
    ingest(spec(&topic, &place)).await.stop().await;
}

/// What is written to a partition before anybody notices it belongs to the lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_new_to_the_lake_begins_at_its_first_message() {
    for start in ["latest", "2030-01-01T00:00:00Z", "0=0"] {
        let place = Place::folder();
        let topic = Topic::new(2);
        let payloads = ticks(0..40);
        let outgoing = |partition| {
            let payload = move |payload| Outgoing { partition, payload: Some(payload), ..Outgoing::default() };
            payloads.iter().map(String::as_bytes).map(payload)
        };
        let mut sent = topic.send_all(outgoing(0));
        // The lake has a position in the first partition, and none in the second.
        until_latest(spec(&topic, &place)).await.unwrap();
        sent.extend(topic.send_all(outgoing(1)));
        until_latest(starting(&topic, &place, start)).await.unwrap();
        Contents::exactly(&place, &sent).await;
    }
}

/// Whoever begins the lake says where all partitions begin, those of others included.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_worker_begins_every_partition() {
    let place = Place::folder();
    let topic = Topic::new(3);
    topic.send(&ticks(0..90));
    until_latest(starting(&topic, &place, "latest")).await.unwrap();
    let lake = place.lake().await;
    for partition in 0..3 {
        assert_eq!(lake.next_offset(partition).await.unwrap(), Some(30));
    }
    assert_eq!(lake.version(), 1, "in one commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_commits_and_says_where_it_ended() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let mut sent = topic.send(&ticks(0..1_000));
        let run = |flags: &[&str]| Tickhouse::new(flags).flags(&topic.flags()).flags(&place.flags());
        let mut live = run(&["ingest", "--flush-interval", "100ms"]).start();
        live.line("committed");
        // Half of these are read before the signal, or none, or all.
        let producing = std::thread::scope(|scope| {
            let producing = scope.spawn(|| topic.send(&ticks(1_000..6_000)));
            live.line("committed");
            live.signal("TERM");
            producing.join().unwrap()
        });
        let asked = Instant::now();
        sent.extend(producing);
        let finished = live.finish();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(asked.elapsed() < Duration::from_secs(25));

        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        let next: Vec<String> = contents.counters.iter().map(|(number, at)| format!("{number}={}", at.next)).collect();
        let last = finished.stderr.lines().last().unwrap().to_owned();
        assert_eq!(last, format!("next offsets {}", next.join(",")));
        let committed = finished.stderr.lines().rev().nth(1).unwrap().to_owned();
        assert!(committed.contains(&format!("table version {}", contents.lake.version())), "{committed}");
        assert!(committed.contains(&format!("committed {} rows", contents.rows.len())), "{committed}");

        run(&["ingest", "--until-latest"]).succeed();
        Contents::exactly(&place, &sent).await;
    })
    .await;
}
