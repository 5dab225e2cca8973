//! What an operator says about offsets.

use super::*;
use crate::market::TopicMismatch;

fn identity(cluster_id: &str, topic_id: Option<&str>) -> TopicIdentity {
    TopicIdentity { cluster_id: cluster_id.to_owned(), topic_id: topic_id.map(str::to_owned) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_s_id_is_learned_once_and_changes_with_the_epoch() {
    for test_lake in test_lakes() {
        let mut worker = test_lake.lake().await;
        append(&mut worker, advance(0, None, 0, 10)).await.unwrap().committed();
        let mut workers = [test_lake.lake().await, test_lake.lake().await, test_lake.lake().await];
        let (a, b) = (identity("cluster-1", Some("a")), identity("cluster-1", Some("b")));
        let learning = workers.iter_mut().map(|worker| worker.learn_topic_id(&a));
        futures::future::join_all(learning).await.into_iter().for_each(|learned| learned.unwrap());
        let mut reader = test_lake.reader().await.unwrap();
        assert_eq!((reader.identity(), reader.version()), (a.clone(), 2), "one commit records it");
        assert_eq!(reader.counters().await.unwrap()[&0].rows, 10);

        let other = reader.learn_topic_id(&b).await.unwrap_err();
        assert!(matches!(other, LakeError::TopicMismatch(TopicMismatch::Recreated { .. })), "{other}");
        let refused = test_lake.lake_of(&LakeSpec { identity: b.clone(), ..spec() }).await.unwrap_err();
        assert!(matches!(refused, LakeError::TopicMismatch(TopicMismatch::Recreated { .. })), "{refused}");
        append(&mut worker, advance(0, Some(10), 10, 11)).await.unwrap().committed();

        assert_eq!(reader.begin_epoch(&b, "recreated").await.unwrap(), 1);
        let mut next = test_lake.lake_of(&LakeSpec { identity: b.clone(), ..spec() }).await.unwrap();
        assert_eq!((next.identity(), next.epoch()), (b, 1));
        next.begin_epoch(&identity("cluster-2", None), "to brokers that don't report an id").await.unwrap();
        assert_eq!(test_lake.reader().await.unwrap().identity(), identity("cluster-2", None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_lake_knows_the_topic_s_id() {
    let test_lake = folder();
    let known = identity("cluster-1", Some("a"));
    let mut lake = test_lake.lake_of(&LakeSpec { identity: known.clone(), ..spec() }).await.unwrap();
    lake.learn_topic_id(&known).await.unwrap();
    assert_eq!((lake.identity(), lake.version()), (known, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_starts_from_scratch_and_fences_the_old_one() {
    for test_lake in test_lakes() {
        let mut zombie = test_lake.lake().await;
        append(&mut zombie, advance(0, None, 0, 10)).await.unwrap().committed();
        let mut operator = test_lake.reader().await.unwrap();
        assert_eq!(operator.begin_epoch(&identity("cluster-2", Some("b")), "topic recreated").await.unwrap(), 1);
        assert_eq!((operator.epoch(), operator.next_offset(0).await.unwrap()), (1, None));
        assert!(operator.counters().await.unwrap().is_empty());

        let fenced = append(&mut zombie, advance(0, Some(10), 10, 12)).await.unwrap();
        assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
        append(&mut operator, advance(0, None, 0, 4)).await.unwrap().committed();
        assert_eq!(operator.counters().await.unwrap()[&0].next, 4);
        let old = test_lake.lake_of(&spec()).await.unwrap_err();
        assert!(matches!(old, LakeError::TopicMismatch(TopicMismatch::Moved { .. })), "{old}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_range_is_recorded_as_lost_with_its_reason() {
    for test_lake in test_lakes() {
        let mut worker = test_lake.lake().await;
        append(&mut worker, advance(0, None, 5, 10)).await.unwrap().committed();
        let mut operator = test_lake.reader().await.unwrap();
        let plan = operator.plan_offsets(&[(0, 25), (1, 7)]).await.unwrap();
        assert_eq!(
            (plan[0].base, plan[0].range, plan[0].counts.lost),
            (Some(10), OffsetRange::new(10, 25).unwrap(), 15)
        );
        assert_eq!((plan[1].base, plan[1].range, plan[1].counts.lost), (None, OffsetRange::new(7, 7).unwrap(), 0));
        assert_eq!(test_lake.reader().await.unwrap().version(), 1, "a plan changes nothing");

        operator.set_offsets(&plan, "ann: retention passed us").await.unwrap().committed();
        assert_eq!(operator.next_offset(0).await.unwrap(), Some(25));
        assert_eq!(operator.next_offset(1).await.unwrap(), Some(7));
        let counters = operator.counters().await.unwrap();
        assert_eq!((counters[&0].first, counters[&0].next, counters[&0].lost, counters[&0].rows), (5, 25, 15, 5));
        assert_eq!(counters[&0].lost_ranges.iter().next(), Some(10..25));
        assert_eq!((counters[&1].first, counters[&1].next, counters[&1].lost), (7, 7, 0));
        assert!(counters.values().all(|one| one.offsets() == one.next - one.first));
        let log = log_entry(&operator.ticks_store(), 2).await;
        assert!(log.contains(r#""reason":"ann: retention passed us""#) && log.contains(r#""timestamp":"#), "{log}");

        let fenced = append(&mut worker, advance(0, Some(10), 10, 12)).await.unwrap();
        assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
        append(&mut worker, advance(0, Some(25), 25, 26)).await.unwrap().committed();
        operator.refresh().await.unwrap();
        let late = operator.set_offsets(&[plan[0]], "again").await.unwrap();
        assert_eq!(late, CommitOutcome::Fenced { partitions: vec![0] });

        let plan = operator.plan_offsets(&[(1, 9)]).await.unwrap();
        let version = operator.set_offsets(&plan, "ann: again").await.unwrap().committed();
        let changed = LakeSpec { input: "{}".to_owned(), accept_input_change: true, ..spec() };
        let changed = test_lake.lake_of(&changed).await.unwrap();
        let log = log_entry(&changed.ticks_store(), version + 1).await;
        assert!(
            log.contains(r#""lost":15"#) && !log.contains("ann"),
            "the counters are repeated, not the reason: {log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_back_only_in_a_new_epoch() {
    let test_lake = folder();
    let mut lake = test_lake.lake().await;
    append(&mut lake, advance(0, None, 0, 10)).await.unwrap().committed();
    let back = lake.plan_offsets(&[(0, 4)]).await.unwrap_err();
    assert!(matches!(back, LakeError::Backwards { partition: 0, next: 10, offset: 4 }), "{back:?}");
    assert!(lake.plan_offsets(&[(1, -1)]).await.is_err());
    lake.begin_epoch(&identity("cluster-1", None), "recreated").await.unwrap();
    let plan = lake.plan_offsets(&[(0, 4)]).await.unwrap();
    lake.set_offsets(&plan, "from the middle").await.unwrap().committed();
    assert_eq!(lake.next_offset(0).await.unwrap(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_begins_once_whatever_the_store_answers() {
    for fault in [StoreFault::FailAfterStoring, StoreFault::SpuriousExists, StoreFault::FailBeforeStoring] {
        let test_lake = folder();
        let (mut lake, store) = test_lake.faulty_lake(fault).await;
        store.left.store(1, Ordering::SeqCst);
        assert_eq!(lake.begin_epoch(&identity("cluster-2", None), "moved").await.unwrap(), 1, "{fault:?}");
        assert_eq!(store.left.load(Ordering::SeqCst), 0, "{fault:?} never fired");
        let reader = test_lake.reader().await.unwrap();
        let now = (reader.version(), reader.epoch(), reader.identity());
        assert_eq!(now, (1, 1, identity("cluster-2", None)), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_stays_in_its_epoch_until_it_is_refreshed() {
    let test_lake = folder();
    let mut zombie = test_lake.lake().await;
    test_lake.reader().await.unwrap().begin_epoch(&identity("cluster-1", None), "recreated").await.unwrap();
    // The first commit learns of the new epoch; no later one may slip into it with offsets of the old.
    for partition in [0, 1] {
        let fenced = append(&mut zombie, advance(partition, None, 0, 5)).await.unwrap();
        assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![partition] });
        assert_eq!(zombie.epoch(), 0);
    }
    zombie.refresh().await.unwrap();
    assert_eq!(zombie.epoch(), 1);
    append(&mut zombie, advance(0, None, 0, 5)).await.unwrap().committed();
}
