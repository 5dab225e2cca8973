//! Commits: one at a time, against each other, and on stores that fail.

use std::time::Duration;

use object_store::ObjectStoreExt;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_offsets_land_in_one_commit() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        assert_eq!((lake.version(), lake.epoch()), (0, 0));
        assert_eq!(lake.next_offset(0).await.unwrap(), None);
        assert!(lake.counters().await.unwrap().is_empty());
        let both = [write(&lake, 0, OffsetRange::new(5, 8).unwrap()).await];
        let mut second = advance(3, None, 0, 4);
        second.counts = Counts { dead: 1, skipped: 2, holes: 1, ..Counts::default() };
        let advances = [advance(0, None, 5, 8), second];
        let note = CommitNote { min_event_ts: Some(1), max_event_ts: Some(2), reason: None };
        let outcome = lake.commit_ticks(&both, &advances, &note).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Committed { version: 1 });
        assert_eq!(lake.next_offset(0).await.unwrap(), Some(8));

        let again = lake.commit_ticks(&both, &advances, &note).await.unwrap();
        assert_eq!(again, CommitOutcome::AlreadyApplied { version: 1 });
        let moved = append(&mut lake, advance(0, Some(8), 8, 20)).await.unwrap();
        assert_eq!(moved, CommitOutcome::Committed { version: 2 });

        let mut reader = test_lake.reader().await.unwrap();
        reader.refresh().await.unwrap();
        assert_eq!(reader.table_id(), lake.table_id());
        assert_eq!(reader.next_offset(0).await.unwrap(), Some(20));
        assert_eq!(reader.next_offset(3).await.unwrap(), Some(4));
        assert_eq!(reader.dead_next_offset(3).await.unwrap(), None);
        let counters = reader.counters().await.unwrap();
        assert_eq!((counters[&0].first, counters[&0].next, counters[&0].rows), (5, 20, 15));
        assert_eq!((counters[&3].dead, counters[&3].skipped, counters[&3].holes), (1, 2, 1));
        assert_eq!(rows(&mut reader).await, 15);
        let view = reader.ticks().unwrap();
        assert_eq!(view.partition_column, "trade_date");
        assert_eq!(view.schema.fields().last().unwrap().name(), "trade_date");
        assert_eq!(view.schema, ticks_schema(PartitionBy::Day, &[]));
        assert!(view.files.iter().all(|file| file.partition_value == DAY && file.stats.is_some()));
        let size = view.store.head(&view.files[0].path).await.unwrap().size;
        assert_eq!(size, view.files[0].bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_writer_is_fenced() {
    for test_lake in test_lakes() {
        let mut zombie = test_lake.lake().await;
        append(&mut zombie, advance(0, None, 0, 10)).await.unwrap().committed();
        let mut owner = test_lake.lake().await;
        append(&mut owner, advance(0, Some(10), 10, 25)).await.unwrap().committed();

        let fenced = append(&mut zombie, advance(0, Some(10), 10, 20)).await.unwrap();
        assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
        let mut two = advance(1, None, 0, 5);
        two.counts = Counts { skipped: 5, ..Counts::default() };
        let mut stale = advance(0, Some(10), 10, 20);
        stale.counts = Counts { skipped: 10, ..Counts::default() };
        let fenced = zombie.commit_ticks(&[], &[stale, two], &CommitNote::default()).await.unwrap();
        assert_eq!(fenced, CommitOutcome::Fenced { partitions: vec![0] });
        assert_eq!(zombie.next_offset(1).await.unwrap(), None);
        zombie.refresh().await.unwrap();
        assert_eq!((zombie.next_offset(0).await.unwrap(), rows(&mut zombie).await), (Some(25), 25));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_be_gone_are_not_committed() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut file = write(&lake, 0, OffsetRange::new(0, 5).unwrap()).await;
        file.made = Utc::now() - NewFile::MAX_COMMIT_AGE - Duration::from_secs(1);
        let advances = [advance(0, None, 0, 5)];
        let refused = lake.commit_ticks(std::slice::from_ref(&file), &advances, &CommitNote::default()).await;
        assert!(
            matches!(&refused, Err(LakeError::FileExpired { file: named }) if named.ends_with(&file.path)),
            "{refused:?}"
        );
        lake.refresh().await.unwrap();
        assert_eq!((lake.version(), lake.next_offset(0).await.unwrap()), (0, None));
        file.made = Utc::now();
        lake.commit_ticks(&[file.clone()], &advances, &CommitNote::default()).await.unwrap().committed();
        // The outcome of an earlier attempt is reported, however old the files are.
        file.made = DateTime::UNIX_EPOCH;
        let again = lake.commit_ticks(&[file], &advances, &CommitNote::default()).await.unwrap();
        assert_eq!(again, CommitOutcome::AlreadyApplied { version: 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_partitions_all_get_through() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut tasks = tokio::task::JoinSet::new();
        for partition in 0..4 {
            let mut lake = test_lake.lake().await;
            tasks.spawn(async move {
                let mut base = None;
                for start in (0..30).step_by(5) {
                    append(&mut lake, advance(partition, base, start, start + 5)).await.unwrap().committed();
                    base = Some(start + 5);
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        lake.refresh().await.unwrap();
        assert_eq!((lake.version(), rows(&mut lake).await), (24, 120));
        let counters = lake.counters().await.unwrap();
        assert_eq!(counters.len(), 4);
        assert!(counters.values().all(|one| (one.first, one.next, one.rows) == (0, 30, 30)), "{counters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_writers_of_the_same_offsets_wins() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut tasks = tokio::task::JoinSet::new();
        for next in [7, 9, 11, 13] {
            let mut lake = test_lake.lake().await;
            tasks.spawn(async move { append(&mut lake, advance(0, None, 0, next)).await.unwrap() });
        }
        let mut winners = 0;
        while let Some(outcome) = tasks.join_next().await {
            match outcome.unwrap() {
                CommitOutcome::Committed { .. } => winners += 1,
                CommitOutcome::Fenced { partitions } => assert_eq!(partitions, [0]),
                CommitOutcome::AlreadyApplied { .. } => panic!("no two ranges are equal"),
            }
        }
        lake.refresh().await.unwrap();
        assert_eq!(winners, 1);
        assert_eq!(lake.next_offset(0).await.unwrap(), Some(rows(&mut lake).await as i64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_a_durable_write_is_one_commit() {
    // Of three commits: those confirmed by the put, those confirmed by the log, and failed attempts.
    for (fault, counted) in [
        (StoreFault::FailAfterStoring, [2, 1, 1]),
        (StoreFault::SpuriousExists, [2, 1, 0]),
        (StoreFault::FailBeforeStoring, [3, 0, 1]),
        (StoreFault::Conflict, [3, 0, 0]),
    ] {
        for test_lake in test_lakes() {
            let (mut lake, store) = test_lake.faulty_lake(fault).await;
            append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
            store.left.store(1, Ordering::SeqCst);
            let outcome = append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap();
            assert_eq!(outcome, CommitOutcome::Committed { version: 2 }, "{fault:?}");
            assert_eq!(store.left.load(Ordering::SeqCst), 0, "{fault:?} never fired");
            append(&mut lake, advance(0, Some(9), 9, 12)).await.unwrap().committed();
            let mut reader = test_lake.reader().await.unwrap();
            assert_eq!((reader.version(), rows(&mut reader).await), (3, 12), "{fault:?}");
            let tallied = lake.retry.metrics.read();
            let count = |attempt| tallied.commits(CommittedTable::Ticks, attempt);
            let found = [CommitAttempt::Ok, CommitAttempt::UnknownResolved, CommitAttempt::Error].map(count);
            assert_eq!((found, tallied.faults, tallied.failing), (counted, counted[2], 0), "{fault:?}");
            assert_eq!((lake.file_count(), lake.version()), (lake.ticks().unwrap().files.len() as u64 + 3, 3));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_ends_with_an_unknown_outcome() {
    for test_lake in test_lakes() {
        let (mut lake, store) = test_lake.faulty_lake(StoreFault::FailBeforeStoring).await;
        store.left.store(usize::MAX, Ordering::SeqCst);
        let retry = RetryPolicy { deadline: Some(Duration::ZERO), ..RetryPolicy::default() };
        lake = lake.with_retry_policy(retry);
        let failed = append(&mut lake, advance(0, None, 0, 5)).await;
        assert!(matches!(failed, Err(LakeError::Unresolved { .. })), "{failed:?}");
        let stopped = RetryPolicy::default();
        stopped.cancel.cancel();
        lake = lake.with_retry_policy(stopped);
        let failed = append(&mut lake, advance(0, None, 0, 5)).await;
        assert!(matches!(failed, Err(LakeError::Stopped { .. })), "{failed:?}");
        store.left.store(0, Ordering::SeqCst);
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        assert_eq!(rows(&mut lake).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_add_up_is_refused() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut short = advance(0, None, 0, 5);
        short.counts.stored_offsets = 4;
        let twice = [advance(0, None, 0, 0), advance(0, None, 0, 0)];
        for advances in [&[short][..], &[advance(0, Some(3), 4, 5)], &[advance(0, None, 0, 5)], &twice] {
            let refused = lake.commit_ticks(&[], advances, &CommitNote::default()).await;
            assert!(matches!(refused, Err(LakeError::Unbalanced(_))), "{advances:?}: {refused:?}");
        }
        assert_eq!(lake.version(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_have_a_transaction_of_their_own() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let dead_letter = advance(0, None, 0, 5);
        lake.commit_dead_letters(&[], &[dead_letter]).await.unwrap().committed();
        assert_eq!(lake.dead_next_offset(0).await.unwrap(), Some(5));
        assert_eq!(lake.next_offset(0).await.unwrap(), None);
        let again = lake.commit_dead_letters(&[], &[dead_letter]).await.unwrap();
        assert_eq!(again, CommitOutcome::AlreadyApplied { version: 1 });
        let longer = lake.commit_dead_letters(&[], &[advance(0, None, 0, 7)]).await.unwrap();
        assert_eq!(longer, CommitOutcome::Fenced { partitions: vec![0] });
        lake.commit_dead_letters(&[], &[advance(0, Some(5), 5, 7)]).await.unwrap().committed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_change_of_another_worker_does_not_stop_a_commit() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        let mut other = test_lake.lake().await;
        let topic_id = Some("id".to_owned());
        other.learn_topic_id(&TopicIdentity { topic_id, ..spec().identity }).await.unwrap();
        assert_eq!(other.counters().await.unwrap(), lake.counters().await.unwrap());
        append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed();
        assert_eq!((lake.version(), rows(&mut lake).await), (3, 9));
    }
}
