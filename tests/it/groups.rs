//! Several workers on one lake: shared work, rebalances, and those who don't know that they are too many.

use std::time::Duration;

use tickhouse::ingest::{IngestSettings, IngestSpec};
use tickhouse::kafka::KafkaSettings;

use crate::support::{Contents, Place, Topic, ingest, landed, over_stores, spec, ticks, until_latest_warning};

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_a_group_share_the_partitions_and_hand_them_over() {
    over_stores(async |place: Place| {
        let topic = Topic::new(6);
        let mut sent = topic.send(&ticks(0..600));
        let mut first = ingest(spec(&topic, &place)).await;
        let mut second = ingest(spec(&topic, &place)).await;
        landed(&mut [&mut first, &mut second], &place, 600).await;
        first.until("half of the partitions", |status| status.next.len() == 3).await;
        second.until("half of the partitions", |status| status.next.len() == 3).await;

        sent.extend(topic.send(&ticks(600..900)));
        let mut third = ingest(spec(&topic, &place)).await;
        sent.extend(topic.send(&ticks(900..1_200)));
        third.until("a third of the partitions", |status| status.next.len() == 2).await;
        sent.extend(topic.send(&ticks(1_200..1_500)));
        landed(&mut [&mut first, &mut second, &mut third], &place, 1_500).await;

        sent.extend(topic.send(&ticks(1_500..1_800)));
        third.stop().await;
        sent.extend(topic.send(&ticks(1_800..2_000)));
        landed(&mut [&mut first, &mut second], &place, 2_000).await;
        first.stop().await;
        second.stop().await;
        Contents::exactly(&place, &sent).await;
    })
    .await;
}

fn of_group(group: &str, topic: &Topic, place: &Place) -> IngestSpec {
    let group = Some(format!("{group}-{}", topic.kafka.topic));
    IngestSpec { kafka: KafkaSettings { group, ..topic.kafka.clone() }, ..spec(topic, place) }
}

/// What is said by a worker that another one was before.
const FENCED: [&str; 1] = ["another worker was faster"];

/// Workers of two groups read the same partition: each believes that it alone owns it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_group_is_fenced() {
    over_stores(async |place: Place| {
        let topic = Topic::new(1);
        let mut sent = topic.send(&ticks(0..50));
        let slow = of_group("slow", &topic, &place);
        let never = Duration::from_secs(3_600);
        let settings = IngestSettings { flush_rows: 75, flush_interval: never, ..slow.settings };
        let slow = ingest(IngestSpec { settings, ..slow }).await;
        let mut slow = slow.expect_warnings(&FENCED);
        slow.until("50 rows", |status| status.buffered_rows == 50).await;

        let mut fast = ingest(of_group("fast", &topic, &place)).await;
        fast.committed(50).await;
        sent.extend(topic.send(&ticks(50..70)));
        fast.committed(70).await;
        fast.stop().await;
        sent.extend(topic.send(&ticks(70..80)));
        slow.until("the fence", |status| status.fenced == 1).await;
        slow.until("what nobody has committed", |status| status.buffered_rows == 10).await;
        let status = slow.stop().await;
        assert_eq!(status.committed.rows, 10);
        Contents::exactly(&place, &sent).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_job_beside_another_group_ends_when_the_table_has_everything() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let mut sent = topic.send(&ticks(0..100));
    let daemon = ingest(of_group("daemon", &topic, &place)).await.expect_warnings(&FENCED);
    for round in 0..8 {
        sent.extend(topic.send(&ticks(sent.len()..sent.len() + 500)));
        until_latest_warning(of_group(&format!("job-{round}"), &topic, &place), &FENCED).await.unwrap();
        Contents::exactly(&place, &sent).await;
    }
    daemon.stop().await;
    Contents::exactly(&place, &sent).await;
}
