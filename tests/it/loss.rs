//! When Kafka no longer holds what the table says comes next, nothing happens before an operator decides.

use tickhouse::ingest::{DataLossPolicy, IngestSettings, IngestSpec, StartPolicy};
use tickhouse::lake::{Lake, LakeSpec};
use tickhouse::market::TopicIdentity;

use crate::support::{
    Contents, Finished, Place, Tickhouse, Topic, over_stores, spec, tick, ticks, until_latest, until_latest_warning,
};

const DATA_LOSS: Option<i32> = Some(3);

fn run(words: &[&str], topic: &Topic, place: &Place) -> Tickhouse {
    Tickhouse::new(words).flags(&topic.flags()).flags(&place.flags())
}

const INGEST: [&str; 4] = ["ingest", "--until-latest", "--market-zone", "UTC"];

/// The command that a data-loss stop names, after one look at how it says so.
fn way_out(stopped: &Finished) -> String {
    assert_eq!(stopped.code, DATA_LOSS, "{stopped:?}");
    assert_eq!(stopped.stderr.matches("the table continues").count(), 1, "said once: {}", stopped.stderr);
    let command = stopped.stderr.lines().find(|line| line.starts_with("  tickhouse offsets set "));
    command.unwrap_or_else(|| panic!("no command: {}", stopped.stderr)).trim().to_owned()
}

/// The embedded broker tells no topic id, and recreated it is another cluster.
fn needs_topic_ids() -> bool {
    if Topic::is_embedded() {
        eprintln!("the embedded broker tells no topic id: run with TICKHOUSE_TEST_BROKERS");
    }
    Topic::is_embedded()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_that_has_outgrown_the_table_is_not_read_on() {
    if needs_topic_ids() {
        return;
    }
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        topic.send(&ticks(0..100));
        until_latest(spec(&topic, &place)).await.unwrap();
        let before = place.lake().await;
        let topic = topic.recreate().await;
        let sent = topic.send(&ticks(0..400));

        let stopped = run(&INGEST, &topic, &place).run();
        let way_out = way_out(&stopped);
        let old = before.identity().topic_id.unwrap();
        let told = Tickhouse::typed(&format!("{way_out} --dry-run")).succeed();
        let changed = format!("topic id {old} -> ");
        let new = told.lines().find_map(|line| line.strip_prefix(&changed)).unwrap();
        assert!(stopped.stderr.contains(&old) && stopped.stderr.contains(new), "{stopped:?}");
        assert_eq!(place.lake().await.version(), before.version());

        Tickhouse::typed(&way_out).succeed();
        assert_eq!(place.lake().await.identity().topic_id.as_deref(), Some(new));
        until_latest(spec(&topic, &place)).await.unwrap();
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!((contents.rows_of(0), contents.rows_of(1)), (100, sent.len()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_under_a_running_ingest_stops_it() {
    if needs_topic_ids() {
        return;
    }
    // A slow one has records of the new topic in its batch before it learns of it; a fast one may be told by a
    // rebalance.
    for interval in ["100ms", "8s"] {
        let place = Place::folder();
        let topic = Topic::new(1);
        topic.send(&ticks(0..100));
        let daemon = ["ingest", "--market-zone", "UTC", "--flush-interval", interval];
        let mut live = run(&daemon, &topic, &place).expect_warning("Kafka").start();
        live.line("committed");
        let before = place.lake().await.version();
        let topic = topic.recreate().await;
        let sent = topic.send(&ticks(0..2_000));
        let way_out = way_out(&live.finish());
        assert_eq!(place.lake().await.version(), before, "nothing of the new topic under the old epoch");
        Tickhouse::typed(&way_out).succeed();
        until_latest(spec(&topic, &place)).await.unwrap();
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!((contents.rows_of(0), contents.rows_of(1)), (100, sent.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_ingest_takes_up_a_recreated_topic_after_the_operator_s_word() {
    if needs_topic_ids() {
        return;
    }
    let place = Place::folder();
    let topic = Topic::new(2);
    topic.send(&ticks(0..100));
    let daemon = ["ingest", "--market-zone", "UTC", "--flush-interval", "100ms"];
    let mut live = run(&daemon, &topic, &place).expect_warning("Kafka has another topic").start();
    live.line("committed");
    live.signal("STOP");
    let topic = topic.recreate().await;
    let sent = topic.send(&ticks(0..2_000));
    run(&["offsets", "set", "--new-epoch", "--reason", "recreated"], &topic, &place).succeed();
    live.signal("CONT");
    loop {
        live.line("committed");
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!(contents.rows_of(0), 100);
        if contents.rows_of(1) == sent.len() {
            break;
        }
    }
    live.signal("TERM");
    assert_eq!(live.finish().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_without_the_topic_s_id_learns_it() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let kafka = topic.identity();
        let IngestSpec { input, settings, .. } = spec(&topic, &place);
        let old = LakeSpec {
            topic: topic.kafka.topic.clone(),
            identity: TopicIdentity { topic_id: None, ..kafka.clone() },
            market_zone: settings.market_zone,
            partition_by: settings.partition_by,
            input: serde_json::to_string(&input).unwrap(),
            extras: Vec::new(),
            accept_input_change: false,
            must_exist: false,
        };
        let lake = Lake::open_or_create(&place.location(), &place.store(), &old).await.unwrap();
        assert_eq!(lake.identity().topic_id, None);
        let sent = topic.send(&ticks(0..100));
        for _ in 0..2 {
            until_latest(spec(&topic, &place)).await.unwrap();
            assert_eq!(place.lake().await.identity(), kafka);
        }
        assert_eq!(kafka.topic_id.is_none(), Topic::is_embedded());
        Contents::exactly(&place, &sent).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_stops_the_ingest_until_a_new_epoch_begins() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        topic.send(&ticks(0..100));
        until_latest(spec(&topic, &place)).await.unwrap();
        let before = place.lake().await.version();

        let topic = topic.recreate().await;
        topic.send(&ticks(0..20));
        let way_out = way_out(&run(&INGEST, &topic, &place).run());
        assert_eq!(place.lake().await.version(), before);

        let told = Tickhouse::typed(&format!("{way_out} --dry-run")).succeed();
        for part in ["epoch 0 -> 1", "partition 1: next 50 -> none, Kafka holds [0, 10)", "nothing was changed"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(place.lake().await.version(), before);
        Tickhouse::typed(&way_out).succeed();
        // A start counts for the first epoch: these messages were written while nobody read.
        for (start, rows) in [(StartPolicy::Latest, 20), ("0=10,1=10".parse().unwrap(), 0)] {
            let settings = IngestSettings { start, ..spec(&topic, &place).settings };
            let status = until_latest(IngestSpec { settings, ..spec(&topic, &place) }).await.unwrap();
            assert_eq!(status.committed.rows, rows);
        }
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!((contents.lake.epoch(), contents.rows_of(0), contents.rows_of(1)), (1, 100, 20));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_ends_before_the_table_is_no_reason_to_read_it_again() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..10));
    until_latest(spec(&topic, &place)).await.unwrap();
    for wrong in ["0=500", "1=5"] {
        let refused = run(&["offsets", "set", "--partition", wrong, "--reason", "a mistake"], &topic, &place).run();
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    let mut lake = place.lake().await;
    let plan = lake.plan_offsets(&[(0, 500)]).await.unwrap();
    let _outcome = lake.set_offsets(&plan, "a topic that was longer").await.unwrap();
    let stopped = run(&INGEST, &topic, &place).run();
    assert!(way_out(&stopped).contains("--new-epoch"), "{stopped:?}");
    for word in ["partition 0", "500", "ends at 10"] {
        assert!(stopped.stderr.contains(word), "{word}: {}", stopped.stderr);
    }
    let back = run(&["offsets", "set", "--partition", "0=5", "--reason", "back"], &topic, &place).run();
    assert_eq!(back.code, Some(1), "{back:?}");
}

/// So much that the broker drops the first messages: the embedded one keeps 5 MiB of a partition.
async fn let_messages_expire(topic: &Topic) -> i64 {
    if Topic::is_embedded() {
        let large: Vec<String> = (0..80).map(|number| format!("{}{}", tick(number), " ".repeat(100_000))).collect();
        topic.send(&large);
    } else {
        topic.delete_before(60).await;
    }
    topic.low()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_messages_are_given_up_by_the_operator_s_word_only() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        topic.send(&ticks(0..10));
        until_latest(spec(&topic, &place)).await.unwrap();
        topic.send(&ticks(10..80));
        let low = let_messages_expire(&topic).await;
        assert!(low > 10, "{low}");

        let way_out = way_out(&run(&INGEST, &topic, &place).run());
        let told = Tickhouse::typed(&format!("{way_out} --dry-run")).succeed();
        assert!(told.contains(&format!("partition 0: next 10 -> {low}, {} offsets", low - 10)), "{told}");

        let on_data_loss = DataLossPolicy::Earliest;
        let settings = IngestSettings { on_data_loss, ..spec(&topic, &place).settings };
        let spec = IngestSpec { settings, ..spec(&topic, &place) };
        let status = until_latest_warning(spec, &["recording them as lost"]).await.unwrap();
        assert_eq!((status.committed.lost, status.lag), (low - 10, 0));
        let contents = Contents::of(&place).await;
        contents.assert_balanced().await;
        assert_eq!(contents.counters[&0].lost, low - 10);
        assert_eq!(contents.rows.iter().filter(|row| row.offset >= 10).map(|row| row.offset).min(), Some(low));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_gives_up_is_in_the_history() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..10));
    until_latest(spec(&topic, &place)).await.unwrap();
    topic.send(&ticks(10..80));
    let low = let_messages_expire(&topic).await;
    let partition = format!("0={low}");
    let set = ["offsets", "set", "--partition", &partition, "--reason", "retention was too short"];
    let told = run(&[&set[..], &["--dry-run"]].concat(), &topic, &place).succeed();
    assert!(told.contains(&format!("next 10 -> {low}, {} offsets", low - 10)), "{told}");
    run(&set, &topic, &place).succeed();
    let log = std::path::Path::new(&place.table).join("ticks/_delta_log");
    let version = place.lake().await.version();
    let commit = std::fs::read_to_string(log.join(format!("{version:020}.json"))).unwrap();
    assert!(commit.contains("retention was too short"), "{commit}");
    until_latest(spec(&topic, &place)).await.unwrap();
    Contents::of(&place).await.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_another_topic_is_refused() {
    over_stores(async |place: Place| {
        let (topic, other) = (Topic::new(1), Topic::new(1));
        topic.send(&ticks(0..10));
        until_latest(spec(&topic, &place)).await.unwrap();
        let refused = Tickhouse::new(&["ingest", "--until-latest", "--market-zone", "UTC"])
            .flags(&place.flags())
            .flags(&["--brokers", &topic.kafka.brokers, "--topic", &other.kafka.topic].map(str::to_owned))
            .run();
        // The embedded brokers have one topic each.
        let problem = if Topic::is_embedded() { "don't have it" } else { "one lake holds one topic" };
        assert!(refused.stderr.contains(problem) && refused.stderr.contains(&other.kafka.topic), "{refused:?}");
        assert_eq!(refused.code, Some(if Topic::is_embedded() { 1 } else { 2 }), "{refused:?}");
        assert_eq!(Contents::of(&place).await.rows.len(), 10);
    })
    .await;
}
