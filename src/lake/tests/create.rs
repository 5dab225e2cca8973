//! Creating, checking and maintaining the tables.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_stays_readable_for_everybody() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        append(&mut lake, advance(0, None, 0, 3)).await.unwrap().committed();
        for store in [lake.ticks_store(), lake.dead_store()] {
            let log = log_entry(&store, 0).await;
            assert!(log.contains(r#""minReaderVersion":1,"minWriterVersion":2"#), "{log}");
            assert!(!log.contains("readerFeatures") && !log.contains("timestamp_ntz"), "{log}");
        }
        let log = log_entry(&lake.ticks_store(), 1).await;
        assert!(log.contains(r#""txn":{"appId":"tickhouse/0/0","version":3}"#), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_while_there_is_no_table_yet_is_tried_again() {
    for test_lake in test_lakes() {
        let store = test_lake.faulty_store(StoreFault::Conflict);
        store.left.store(2, Ordering::SeqCst);
        let root: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        let mut lake = Lake::open_or_create_on(&root, &test_lake.location, &spec()).await.unwrap();
        assert_eq!(store.left.load(Ordering::SeqCst), 0, "it never fired");
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_something_else_is_refused_with_both_sides() {
    for test_lake in test_lakes() {
        let lake = test_lake.lake().await;
        let open = async |spec: LakeSpec| test_lake.lake_of(&spec).await;
        let extra = |kind| vec![("bid".to_owned(), ExtraSpec { path: "/b".to_owned(), kind })];

        let other = LakeSpec {
            topic: "trades".to_owned(),
            market_zone: "UTC".to_owned(),
            partition_by: PartitionBy::Year,
            input: "{}".to_owned(),
            ..spec()
        };
        let refused = open(other).await.unwrap_err().to_string();
        for part in
            ["tickhouse.topic", "'ticks'", "'trades'", "'America/New_York'", "'UTC'", "'day'", "'year'", "canonical"]
        {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }

        let spaced = LakeSpec { input: r#"{ "preset" : "canonical" }"#.to_owned(), ..spec() };
        assert_eq!(open(spaced).await.unwrap().version(), 0);
        let changed = LakeSpec { input: "{}".to_owned(), accept_input_change: true, ..spec() };
        let accepted = open(changed.clone()).await.unwrap();
        assert_eq!((accepted.version(), accepted.property("tickhouse.input")), (1, Some("{}")));

        let wider = LakeSpec { extras: extra(ExtraType::Double), ..changed.clone() };
        let wider = open(wider).await.unwrap();
        assert_eq!((wider.version(), wider.table_id()), (2, lake.table_id()));
        assert_eq!(wider.ticks().unwrap().schema, ticks_schema(PartitionBy::Day, &extra(ExtraType::Double)));
        let retyped = LakeSpec { extras: extra(ExtraType::String), ..changed.clone() };
        let refused = open(retyped).await.unwrap_err().to_string();
        assert!(refused.contains("ticks.bid: the lake has DOUBLE, the configuration STRING"), "{refused}");
        let refused = open(changed).await.unwrap_err().to_string();
        assert!(refused.contains("ticks.bid: the lake has DOUBLE, the configuration no such column"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_missing_lake_says_what_to_run() {
    for test_lake in test_lakes() {
        let missing = test_lake.reader().await.unwrap_err();
        assert!(missing.to_string().contains("tickhouse ingest --table"), "{missing}");
        assert!(!matches!(&test_lake.location, Location::Folder(folder) if folder.exists()));
        let mut lake = test_lake.lake().await;
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        assert_eq!(rows(&mut test_lake.reader().await.unwrap()).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_is_not_recreated() {
    for (gone, left) in [("dead_letters", "ticks"), ("ticks", "dead_letters")] {
        for test_lake in test_lakes() {
            append(&mut test_lake.lake().await, advance(0, None, 0, 5)).await.unwrap().committed();
            let root = root_store(&test_lake.location, &test_lake.settings).unwrap();
            let folder = Path::from_url_path(test_lake.location.table_url(gone).path()).unwrap();
            let files: Vec<_> = root.list(Some(&folder)).try_collect().await.unwrap();
            for file in files {
                root.delete(&file.location).await.unwrap();
            }
            let refusals = [test_lake.reader().await.unwrap_err(), test_lake.lake_of(&spec()).await.unwrap_err()];
            let texts = refusals.map(|refusal| refusal.to_string());
            let names = format!("{gone} is gone, and {}/{left} is there", test_lake.location);
            assert!(texts[0].contains(&names), "{texts:?}");
            assert!(texts[1].contains(&names) || texts[1].contains("holds other things"), "{texts:?}");
            assert!(root.list(Some(&folder)).try_next().await.unwrap().is_none(), "{gone} was recreated");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partly_created_lake_is_completed() {
    for test_lake in test_lakes() {
        test_lake.lake().await;
        let root = root_store(&test_lake.location, &test_lake.settings).unwrap();
        let url = test_lake.location.table_url("dead_letters");
        let folder = Path::from_url_path(url.path()).unwrap();
        root.delete(&folder.clone().join("_delta_log").join("00000000000000000000.json")).await.unwrap();
        assert!(matches!(test_lake.reader().await, Err(LakeError::NoTable { .. })));
        append(&mut test_lake.lake().await, advance(0, None, 0, 5)).await.unwrap().committed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_other_files_is_refused() {
    for test_lake in test_lakes() {
        let root = root_store(&test_lake.location, &test_lake.settings).unwrap();
        if let Location::Folder(folder) = &test_lake.location {
            std::fs::create_dir_all(folder.join("ticks")).unwrap();
        }
        let other = |name: &str| {
            let url = test_lake.location.table_url(name);
            Path::from_url_path(url.path().trim_end_matches('/')).unwrap()
        };
        root.put(&other("thesis.txt"), "mine".into()).await.unwrap();
        let refused = test_lake.lake_of(&spec()).await.unwrap_err();
        assert!(matches!(&refused, LakeError::Occupied { found, .. } if found == "thesis.txt"), "{refused}");
        let text = refused.to_string();
        assert!(text.contains(&test_lake.location.to_string()) && text.contains("empty or a new folder"), "{text}");
        assert!(matches!(test_lake.reader().await, Err(LakeError::NoTable { .. })), "nothing was made");

        root.delete(&other("thesis.txt")).await.unwrap();
        // As a creation that was interrupted leaves it.
        root.put(&other("_tickhouse/probe"), "tickhouse".into()).await.unwrap();
        test_lake.lake().await;
        root.put(&other("thesis.txt"), "mine".into()).await.unwrap();
        test_lake.lake().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticks.csv");
    std::fs::write(&file, "AAPL").unwrap();
    for path in [file.clone(), file.join("lake")] {
        let location = Location::parse(path.to_str().unwrap()).unwrap();
        let settings = StoreSettings::default();
        for refused in
            [Lake::open_or_create(&location, &settings, &spec()).await, Lake::open(&location, &settings).await]
        {
            let refused = refused.unwrap_err();
            assert!(matches!(&refused, LakeError::NotAFolder { path } if *path == file), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_create_one_lake() {
    for test_lake in test_lakes() {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (location, settings) = (test_lake.location.clone(), test_lake.settings.clone());
            tasks.spawn(async move { Lake::open_or_create(&location, &settings, &spec()).await });
        }
        let mut ids = std::collections::BTreeSet::new();
        while let Some(lake) = tasks.join_next().await {
            let lake = lake.unwrap().unwrap();
            assert_eq!(lake.version(), 0);
            ids.insert(lake.table_id().to_owned());
        }
        assert_eq!(ids.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_counters_outlive_checkpoint_and_log_clean_up() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut base = None;
        for start in (0..30).step_by(3) {
            append(&mut lake, advance(0, base, start, start + 3)).await.unwrap().committed();
            base = Some(start + 3);
        }
        let mut maintenance = test_lake.maintenance().await;
        assert_eq!(
            maintenance.run(LogMaintenance { commits: 100, clean: true }, chrono::Utc::now()).await.unwrap(),
            LogMaintenanceStats::default()
        );
        let mut others: Vec<LakeMaintenance> = futures::future::join_all((0..3).map(|_| test_lake.maintenance())).await;
        let runs =
            others.iter_mut().map(|other| other.run(LogMaintenance { commits: 5, clean: true }, chrono::Utc::now()));
        for run in futures::future::join_all(runs).await {
            assert!(run.unwrap().checkpoints <= 1);
        }
        assert_eq!(
            maintenance.run(LogMaintenance { commits: 5, clean: true }, chrono::Utc::now()).await.unwrap(),
            LogMaintenanceStats::default()
        );

        forget_log(&lake.ticks_store(), 0..10).await;
        let mut reader = test_lake.reader().await.unwrap();
        assert_eq!((reader.version(), rows(&mut reader).await), (10, 30));
        assert_eq!(reader.next_offset(0).await.unwrap(), Some(30));
        assert_eq!(reader.counters().await.unwrap()[&0].rows, 30);
        append(&mut reader, advance(0, base, 30, 31)).await.unwrap().committed();
        append(&mut lake, advance(1, None, 0, 2)).await.unwrap().committed();
        assert_eq!((lake.counters().await.unwrap()[&0].rows, rows(&mut lake).await), (31, 33));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn longer_partitions_keep_the_trade_date_in_the_files() {
    for (partition_by, column) in [(PartitionBy::Month, "trade_month"), (PartitionBy::Year, "trade_year")] {
        let test_lake = folder();
        let longer = LakeSpec { partition_by, ..spec() };
        test_lake.lake_of(&longer).await.unwrap();
        let lake = test_lake.lake_of(&longer).await.unwrap();
        let view = lake.ticks().unwrap();
        assert_eq!((lake.version(), view.partition_column.as_str()), (0, column));
        assert_eq!(view.schema, ticks_schema(partition_by, &[]));
        let dates: Vec<&str> = view.schema.fields().iter().rev().take(2).map(|field| field.name().as_str()).collect();
        assert_eq!(dates, [column, "trade_date"]);
        let refused = test_lake.lake_of(&spec()).await.unwrap_err().to_string();
        assert!(refused.contains("tickhouse.partition_by") && refused.contains(column), "{refused}");
    }
}
