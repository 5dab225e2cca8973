//! Exactly once, from the topic to the table.

use tickhouse::ingest::IngestSpec;

use crate::support::{Contents, Place, Topic, ingest, over_stores, spec, ticks, until_latest};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_lands_once_over_stops_and_starts() {
    over_stores(async |place: Place| {
        let topic = Topic::new(3);
        let mut sent = topic.send(&ticks(0..600));
        let mut worker = ingest(spec(&topic, &place)).await;
        worker.committed(600).await;
        sent.extend(topic.send(&ticks(600..900)));
        worker.committed(900).await;
        let status = worker.stop().await;
        assert_eq!((status.committed.rows, status.lag, status.fenced), (900, 0, 0));
        Contents::of(&place).await.assert_exactly(&sent).await;

        sent.extend(topic.send(&ticks(900..1_000)));
        let mut worker = ingest(spec(&topic, &place)).await;
        worker.committed(100).await;
        let status = worker.stop().await;
        assert_eq!(status.committed.rows, 100, "what is in the table is not read again");
        Contents::of(&place).await.assert_exactly(&sent).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_latest_ends_at_the_ends() {
    over_stores(async |place: Place| {
        let topic = Topic::new(2);
        let spec = || IngestSpec { until_latest: true, ..spec(&topic, &place) };
        let status = until_latest(spec()).await.unwrap();
        assert_eq!(status.committed.rows, 0, "an empty topic has ends too");
        let mut sent = topic.send(&ticks(0..500));
        let status = until_latest(spec()).await.unwrap();
        assert_eq!((status.committed.rows, status.lag), (500, 0));
        sent.extend(topic.send(&ticks(500..501)));
        until_latest(spec()).await.unwrap();
        Contents::of(&place).await.assert_exactly(&sent).await;
    })
    .await;
}
