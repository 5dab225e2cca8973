//! Transactional producers: what they abort is a hole, what they haven't committed yet is not there yet.

use crate::support::{Contents, Place, Topic, ingest, over_stores, spec, ticks, until_latest};

/// The embedded broker keeps what was aborted.
fn needs_transactions() -> bool {
    if Topic::is_embedded() {
        eprintln!("the embedded broker has no aborted transactions: run with TICKHOUSE_TEST_BROKERS");
    }
    Topic::is_embedded()
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_messages_are_holes() {
    if needs_transactions() {
        return;
    }
    over_stores(async |place: Place| {
        let topic = Topic::transactional(2);
        let daemon = ingest(spec(&topic, &place)).await;
        let mut sent = Vec::new();
        let mut aborted = 0;
        // The last ones are aborted, so that both partitions end in holes.
        for (round, commit) in [true, false, true, true, false, false].into_iter().enumerate() {
            topic.begin();
            let messages = topic.send(&ticks(round * 100..round * 100 + 100));
            topic.end(commit);
            if commit {
                sent.extend(messages);
            } else {
                aborted += messages.len() as i64;
            }
        }
        daemon.stop().await;
        until_latest(spec(&topic, &place)).await.unwrap();
        let contents = Contents::exactly(&place, &sent).await;
        let holes: i64 = contents.counters.values().map(|counters| counters.holes).sum();
        // Each transaction leaves a marker in each partition.
        assert_eq!(holes, aborted + 6 * 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_not_read_past() {
    if needs_transactions() {
        return;
    }
    over_stores(async |place: Place| {
        let (topic, open) = (Topic::transactional(1), Topic::transactional(1));
        let open = open.writing_to(&topic);
        topic.begin();
        let before = topic.send(&ticks(0..50));
        topic.end(true);
        open.begin();
        let mut inside = open.send(&ticks(50..80));
        topic.begin();
        let after = topic.send(&ticks(80..100));
        topic.end(true);

        until_latest(spec(&topic, &place)).await.unwrap();
        Contents::exactly(&place, &before).await;
        open.end(true);
        until_latest(spec(&topic, &place)).await.unwrap();
        inside.extend(before);
        inside.extend(after);
        Contents::exactly(&place, &inside).await;
    })
    .await;
}
