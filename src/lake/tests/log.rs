//! The head of a writer against a log that others change, clean up or damage.

use super::*;
use crate::lake::log::table::Table;
use crate::lake::log::view::TableView;

/// Ten commits of partition 0, a checkpoint at version 10.
async fn checkpointed(test_lake: &TestLake) -> Lake {
    let mut lake = test_lake.lake().await;
    let mut base = None;
    for start in (0..30).step_by(3) {
        append(&mut lake, advance(0, base, start, start + 3)).await.unwrap().committed();
        base = Some(start + 3);
    }
    assert_eq!(
        test_lake
            .maintenance()
            .await
            .run(LogMaintenance { commits: 5, clean: true }, chrono::Utc::now())
            .await
            .unwrap()
            .checkpoints,
        1
    );
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_slept_past_the_clean_up_never_fills_a_hole() {
    for test_lake in test_lakes() {
        let mut sleeper = test_lake.lake().await;
        append(&mut sleeper, advance(1, None, 0, 2)).await.unwrap().committed();
        let mut dreamer = test_lake.lake().await;
        let owner = {
            let mut lake = checkpointed(&test_lake).await;
            append(&mut lake, advance(0, Some(30), 30, 33)).await.unwrap().committed();
            lake
        };
        assert_eq!(owner.version(), 12);
        forget_log(&owner.ticks_store(), 0..11).await;

        // Version 2 is free now, and a commit there would be lost behind the checkpoint.
        let fenced = append(&mut sleeper, advance(0, None, 0, 9)).await.unwrap();
        assert_eq!((fenced, sleeper.version()), (CommitOutcome::Fenced { partitions: vec![0] }, 12));
        assert_eq!(append(&mut sleeper, advance(1, Some(2), 2, 4)).await.unwrap().committed(), 13);
        assert_eq!(append(&mut dreamer, advance(2, None, 0, 4)).await.unwrap().committed(), 14);
        let mut reader = test_lake.reader().await.unwrap();
        assert_eq!((reader.version(), rows(&mut reader).await), (14, 41));
        let counters = reader.counters().await.unwrap();
        assert_eq!((counters[&0].rows, counters[&1].rows, counters[&2].rows), (33, 4, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_past_cleaned_versions_finds_the_newest() {
    for test_lake in test_lakes() {
        let mut sleeper = test_lake.lake().await;
        let owner = checkpointed(&test_lake).await;
        forget_log(&owner.ticks_store(), 0..10).await;
        assert_eq!(rows(&mut sleeper).await, 30);
        assert_eq!((sleeper.version(), sleeper.next_offset(0).await.unwrap()), (10, Some(30)));
        append(&mut sleeper, advance(0, Some(30), 30, 31)).await.unwrap().committed();
        assert_eq!((sleeper.version(), rows(&mut sleeper).await), (11, 31));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_without_any_commit_is_enough() {
    for test_lake in test_lakes() {
        let mut lake = checkpointed(&test_lake).await;
        forget_log(&lake.ticks_store(), 0..11).await;
        let mut reader = test_lake.lake().await;
        assert_eq!((reader.version(), rows(&mut reader).await), (10, 30));
        assert_eq!(reader.next_offset(0).await.unwrap(), Some(30));
        let again = append(&mut reader, advance(0, Some(27), 27, 30)).await.unwrap();
        assert_eq!(again, CommitOutcome::AlreadyApplied { version: 10 });
        // The counts of the commits that are gone are those of the table.
        let refused = append(&mut reader, advance(0, Some(30), 30, 32)).await.unwrap_err();
        assert!(matches!(refused, LakeError::NoCounters { partition: 0, .. }), "{refused:?}");
        assert!(reader.require_counters(&[1]).await.unwrap().is_empty());
        let counters = reader.require_counters(&[0, 1]).await.unwrap();
        assert_eq!((counters.len(), counters[&0].rows, counters[&0].next), (1, 30, 30));
        assert_eq!(append(&mut reader, advance(0, Some(30), 30, 32)).await.unwrap().committed(), 12);
        assert_eq!(append(&mut lake, advance(0, Some(32), 32, 35)).await.unwrap().committed(), 13);
        assert_eq!(rows(&mut lake).await, 35);
        let counters = lake.counters().await.unwrap();
        assert_eq!((counters[&0].first, counters[&0].next, counters[&0].rows, counters[&0].unknown), (0, 35, 35, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_commit_is_named_and_no_commit_follows_it() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        let torn = "{\"commitInfo\":{\"timestamp\":1}}\n{\"add\":{\"path\":\"tra";
        lake.ticks_store().put(&log_path(2), torn.into()).await.unwrap();
        let retry = RetryPolicy { deadline: Some(std::time::Duration::ZERO), ..RetryPolicy::default() };
        lake = lake.with_retry_policy(retry);
        let failed = append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap_err().to_string();
        assert!(failed.contains("00000000000000000002.json is damaged"), "{failed}");
        assert!(matches!(lake.ticks_store().head(&log_path(3)).await, Err(object_store::Error::NotFound { .. })));

        forget_log(&lake.ticks_store(), 2..3).await;
        assert_eq!(append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed(), 2);
        assert_eq!(rows(&mut lake).await, 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_log_is_named() {
    for test_lake in test_lakes() {
        let mut lake = checkpointed(&test_lake).await;
        for start in [30, 33, 36] {
            append(&mut lake, advance(0, Some(start), start, start + 3)).await.unwrap().committed();
        }
        forget_log(&lake.ticks_store(), 12..13).await;
        let failed = test_lake.reader().await.unwrap_err().to_string();
        assert!(failed.contains("00000000000000000012.json is damaged (it is not there): restore it"), "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_other_tools_are_passed_over() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        let foreign = concat!(
            r#"{"commitInfo":{"timestamp":1,"operation":"SET TBLPROPERTIES","engineInfo":"Apache-Spark/4.2.0"}}"#,
            "\n",
            r#"{"txn":{"appId":"somebody","version":3,"lastUpdated":1}}"#,
            "\n"
        );
        lake.ticks_store().put(&log_path(2), foreign.into()).await.unwrap();
        assert_eq!(append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed(), 3);
        let mut reader = test_lake.reader().await.unwrap();
        assert_eq!((rows(&mut reader).await, reader.counters().await.unwrap()[&0].rows), (9, 9));

        let raised =
            r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":[]}}"#;
        lake.ticks_store().put(&log_path(4), raised.into()).await.unwrap();
        let refused = append(&mut lake, advance(0, Some(9), 9, 10)).await.unwrap_err();
        assert!(matches!(refused, LakeError::Protocol { reader: 3, writer: 7, .. }), "{refused:?}");
        assert!(matches!(test_lake.reader().await, Err(LakeError::Protocol { .. })));
    }
}

/// A commit of another tool was the last before a week without ticks.
#[tokio::test(flavor = "multi_thread")]
async fn the_clean_up_leaves_the_counters() {
    let test_lake = folder();
    let mut lake = checkpointed(&test_lake).await;
    append(&mut lake, advance(0, Some(30), 30, 33)).await.unwrap().committed();
    let foreign = r#"{"commitInfo":{"timestamp":1,"operation":"SET TBLPROPERTIES"}}
{"txn":{"appId":"somebody","version":3,"lastUpdated":1}}
"#;
    lake.ticks_store().put(&log_path(12), foreign.into()).await.unwrap();
    let before = lake.counters().await.unwrap();
    let Location::Folder(root) = &test_lake.location else { unreachable!("it is a folder") };
    let week_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    for file in std::fs::read_dir(root.join("ticks/_delta_log")).unwrap() {
        let file = std::fs::File::options().write(true).open(file.unwrap().path());
        // Folders in it can't be opened for writing.
        if let Ok(file) = file {
            file.set_modified(week_ago).unwrap();
        }
    }
    for deleted in [true, false] {
        let done =
            test_lake.maintenance().await.run(LogMaintenance { commits: 1, clean: true }, Utc::now()).await.unwrap();
        assert_eq!((done.checkpoints > 0, done.log_files_deleted > 0), (deleted, deleted), "{done:?}");
        assert!(lake.ticks_store().head(&log_path(11)).await.is_err(), "our last commit is cleaned up");
        let mut reader = test_lake.reader().await.unwrap();
        assert_eq!(reader.counters().await.unwrap(), before);
        assert_eq!((reader.version(), rows(&mut reader).await), (13, 33));
    }
    assert_eq!(append(&mut lake, advance(0, Some(33), 33, 34)).await.unwrap().committed(), 14);
    assert_eq!(lake.counters().await.unwrap()[&0].rows, 34);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_table_is_not_written_to() {
    let test_lake = folder();
    let mut lake = test_lake.lake().await;
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    let Location::Folder(root) = &test_lake.location else { unreachable!("it is a folder") };
    for table in ["ticks", "dead_letters"] {
        std::fs::remove_dir_all(root.join(table)).unwrap();
    }
    test_lake.lake().await;
    let refused = append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap_err();
    assert!(matches!(refused, LakeError::Replaced { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_log_names_the_damaged_file() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        for offset in 0..3 {
            append(&mut lake, advance(0, (offset > 0).then_some(offset), offset, offset + 1))
                .await
                .unwrap()
                .committed();
        }
        let store = lake.ticks_store();
        let complete = log_entry(&store, 2).await;
        let is_local = matches!(test_lake.location, Location::Folder(_));
        let torn = &complete[..complete.len() / 2];
        for damage in [torn, "\0\u{1}garbage", ""].into_iter().filter(|damage| is_local || !damage.is_empty()) {
            store.put(&log_path(2), damage.to_owned().into()).await.unwrap();
            for error in [test_lake.reader().await.unwrap_err(), test_lake.lake_of(&spec()).await.unwrap_err()] {
                let text = error.to_string();
                assert!(matches!(&error, LakeError::Damaged { .. }), "{damage}: {text}");
                assert!(text.contains("/ticks/_delta_log/00000000000000000002.json is damaged ("), "{text}");
                assert!(text.contains("restore it") && !text.contains('\n'), "{text}");
            }
        }
        store.put(&log_path(2), complete.into()).await.unwrap();
        test_lake.reader().await.unwrap();

        test_lake
            .maintenance()
            .await
            .run(LogMaintenance { commits: 1, clean: false }, chrono::Utc::now())
            .await
            .unwrap();
        let checkpoint = Path::from("_delta_log/00000000000000000003.checkpoint.parquet");
        let bytes = store.get(&checkpoint).await.unwrap().bytes().await.unwrap();
        for damage in [bytes.slice(..bytes.len() / 2), bytes::Bytes::from_static(b"PAR1")] {
            store.put(&checkpoint, damage.into()).await.unwrap();
            let text = test_lake.reader().await.unwrap_err().to_string();
            assert!(text.contains("00000000000000000003.checkpoint.parquet is damaged ("), "{text}");
            assert!(text.contains("_last_checkpoint") && !text.contains('\n'), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_of_signals_maintains_its_log() {
    for test_lake in test_lakes() {
        let open = || SignalsWriter::open_or_create(&test_lake.location, &test_lake.settings, 0);
        let log_maintenance = LogMaintenance { commits: 4, clean: false };
        let mut signals = open().await.unwrap().with_log_maintenance(Some(log_maintenance));
        let root = root_store(&test_lake.location, &test_lake.settings).unwrap();
        let store = prefixed(&root, &test_lake.location.table_url("signals")).unwrap();
        let hint = Path::from("_delta_log/_last_checkpoint");
        for offset in 0..10 {
            let advance = Advance::dead(0, (offset > 0).then_some(offset), offset, offset + 1, 0);
            let event_progress = EventProgress { topic: BTreeMap::from([(0, offset)]), ..EventProgress::default() };
            signals.commit(&[], &[advance], &event_progress).await.unwrap().committed();
            signals.maintain().await;
            assert_eq!(store.head(&hint).await.is_ok(), offset >= 3, "{offset}");
        }
        let again = open().await.unwrap();
        assert_eq!((again.version(), again.next_offset(0).await.unwrap()), (10, Some(10)));
        assert_eq!(again.event_progress().await.unwrap().topic, BTreeMap::from([(0, 9)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_behind_is_read_again() {
    for test_lake in test_lakes() {
        for commits in [0, 10] {
            if commits > 0 {
                checkpointed(&test_lake).await;
            }
            let store = test_lake.faulty_store(StoreFault::StaleList);
            let root: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
            Lake::open_or_create_on(&root, &test_lake.location, &spec()).await.unwrap();
            store.left.store(2, Ordering::SeqCst);
            let mut ticks = Table::new(&root, &test_lake.location, "ticks").unwrap();
            ticks.load().await.unwrap();
            assert_eq!((ticks.version(), store.left.load(Ordering::SeqCst)), (commits, 0));

            store.left.store(usize::MAX, Ordering::SeqCst);
            let error = crate::lake::log::damage::find(&ticks.store, &ticks.name).await.unwrap_err().to_string();
            assert!(error.contains("its list of files lacks _delta_log/"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_reach_as_far_as_the_offsets_where_the_list_lags_behind() {
    for test_lake in test_lakes() {
        let mut writer = test_lake.lake().await;
        let store = test_lake.faulty_store(StoreFault::ListWithoutNewest);
        let root: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        let mut reader = Table::new(&root, &test_lake.location, "ticks").unwrap();
        reader.load().await.unwrap();
        let mut base = None;
        for (lists, start) in [(0, 0), (1, 3), (2, 6)] {
            append(&mut writer, advance(0, base, start, start + 3)).await.unwrap().committed();
            base = Some(start + 3);
            store.left.store(lists, Ordering::SeqCst);
            reader.load().await.unwrap();
            assert_eq!(store.left.load(Ordering::SeqCst), 0, "{lists}");
            assert_eq!(reader.transaction("tickhouse/0/0").await.unwrap(), base);
            let files = TableView::of(&reader).unwrap().files;
            assert_eq!(files.iter().filter_map(|file| file.rows).sum::<u64>(), (start + 3) as u64, "{lists}");
        }
    }
}
