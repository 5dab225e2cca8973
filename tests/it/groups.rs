//! Several workers on one lake: shared work, rebalances, and those who don't know that they are too many.

use tickhouse::ingest::IngestSpec;
use tickhouse::kafka::KafkaSettings;

use crate::support::{Contents, Place, Topic, ingest, landed, over_stores, spec, ticks, until_latest};

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

/// Workers of two groups read the same partitions: each believes that it alone owns them.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_group_is_fenced() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let mut sent = topic.send(&ticks(0..100));
        let of = |group: &str| IngestSpec {
            kafka: KafkaSettings { group: Some(format!("{group}-{}", topic.kafka.topic)), ..topic.kafka.clone() },
            ..spec(&topic, &place)
        };
        let mut one = ingest(of("one")).await;
        let mut other = ingest(of("other")).await;
        let is_fenced = |status: &tickhouse::ingest::Status| status.fenced > 0;
        let mut rounds = 0;
        while !is_fenced(&one.status.borrow()) && !is_fenced(&other.status.borrow()) {
            rounds += 1;
            assert!(rounds < 200, "neither was ever fenced");
            sent.extend(topic.send(&ticks(sent.len()..sent.len() + 50)));
            landed(&mut [&mut one, &mut other], &place, sent.len()).await;
        }
        sent.extend(topic.send(&ticks(sent.len()..sent.len() + 50)));
        landed(&mut [&mut one, &mut other], &place, sent.len()).await;
        one.stop().await;
        other.stop().await;
        Contents::exactly(&place, &sent).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_job_beside_another_group_ends_when_the_table_has_everything() {
    let place = Place::folder();
    let topic = Topic::new(2);
    let mut sent = topic.send(&ticks(0..100));
    let of = |group: &str| IngestSpec {
        kafka: KafkaSettings { group: Some(format!("{group}-{}", topic.kafka.topic)), ..topic.kafka.clone() },
        ..spec(&topic, &place)
    };
    let daemon = ingest(of("daemon")).await;
    for round in 0..8 {
        sent.extend(topic.send(&ticks(sent.len()..sent.len() + 500)));
        until_latest(of(&format!("job-{round}"))).await.unwrap();
        Contents::exactly(&place, &sent).await;
    }
    daemon.stop().await;
    Contents::exactly(&place, &sent).await;
}
