//! A file system that becomes unavailable under a writer and comes back; files that are deleted before their commit.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::lake::error::StoreProblem;
use crate::lake::store::folder::FolderIdentity;

fn root(test_lake: &TestLake) -> PathBuf {
    let Location::Folder(root) = &test_lake.location else { unreachable!("it is a folder") };
    root.clone()
}

fn aside(test_lake: &TestLake) -> PathBuf {
    root(test_lake).with_file_name("aside")
}

fn impatient(lake: Lake) -> Lake {
    lake.with_retry_policy(RetryPolicy { deadline: Some(Duration::ZERO), ..RetryPolicy::default() })
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_below_an_empty_mount_point() {
    // The mount point is the lake, a folder above it, or the lake with an empty folder that an earlier accident left.
    for below in [None, Some(""), Some("ticks")] {
        let test_lake = folder();
        let mut lake = impatient(test_lake.lake().await);
        append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
        let file = write(&lake, 0, OffsetRange::new(5, 9).unwrap()).await;
        let (root, aside) = (root(&test_lake), aside(&test_lake));
        std::fs::rename(&root, &aside).unwrap();
        if let Some(below) = below {
            std::fs::create_dir_all(root.join(below)).unwrap();
        }

        let (advances, note) = ([advance(0, Some(5), 5, 9)], CommitNote::default());
        let refused = lake.commit_ticks(std::slice::from_ref(&file), &advances, &note).await.unwrap_err().to_string();
        assert!(matches!(below, Some("ticks")) || refused.contains("mount its file system again"), "{refused}");
        let store = lake.ticks_store();
        let put = lake.put(&store, "trade_date=2025-11-21/part-1.parquet", "x".into()).await;
        let own = prefixed(
            &root_store(&test_lake.location, &test_lake.settings).unwrap(),
            &test_lake.location.table_url("_tickhouse"),
        );
        let own = own.unwrap().put(&Path::from("maintain.lease"), "x".into()).await;
        if below != Some("ticks") {
            assert!(put.unwrap_err().to_string().contains("mount its file system again"));
            assert!(own.is_err());
            assert!(!root.exists() || files_below(&root) == 0, "an empty mount point stays empty");
        }

        if root.exists() {
            std::fs::remove_dir_all(&root).unwrap();
        }
        std::fs::rename(&aside, &root).unwrap();
        lake.commit_ticks(&[file], &advances, &note).await.unwrap().committed();
        assert_eq!(rows(&mut lake).await, 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_continues_only_in_the_same_table() {
    let test_lake = folder();
    let mut lake = impatient(test_lake.lake().await);
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    let (root, aside) = (root(&test_lake), aside(&test_lake));
    let before = root.with_file_name("before");
    copy(&root, &before);
    append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed();

    // The same files under other inode numbers, as after a mount of a network file system.
    let identity = FolderIdentity::at(&root.join("ticks")).unwrap();
    std::fs::rename(&root, &aside).unwrap();
    copy(&aside, &root);
    assert_ne!(FolderIdentity::at(&root.join("ticks")).unwrap(), identity);
    append(&mut lake, advance(0, Some(9), 9, 12)).await.unwrap().committed();
    assert_eq!(rows(&mut lake).await, 12);

    // An older copy: a commit would leave a hole in its log.
    std::fs::remove_dir_all(&root).unwrap();
    copy(&before, &root);
    let refused = append(&mut lake, advance(0, Some(12), 12, 14)).await.unwrap_err();
    assert!(matches!(refused, LakeError::WentBack { known: 3, found: 1, .. }), "{refused}");
    assert!(!root.join("ticks/_delta_log/00000000000000000004.json").exists());

    // Another lake, which has a version of that number, too.
    std::fs::remove_dir_all(&root).unwrap();
    let mut other = test_lake.lake().await;
    for start in (0..20).step_by(4) {
        append(&mut other, advance(0, (start > 0).then_some(start), start, start + 4)).await.unwrap().committed();
    }
    let refused = append(&mut lake, advance(0, Some(12), 12, 14)).await.unwrap_err();
    assert!(matches!(refused, LakeError::Replaced { .. }), "{refused}");
    assert_eq!((rows(&mut other).await, other.version()), (20, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_goes_only_into_the_folder_that_it_was_checked_in() {
    let test_lake = folder();
    let mut lake = test_lake.lake().await;
    append(&mut lake, advance(0, None, 0, 5)).await.unwrap().committed();
    let root = root(&test_lake);
    // As if the folder had been swapped between the check of the head and the put.
    lake.ticks.loaded_from = Some(FolderIdentity::at(&root).unwrap());
    let put =
        lake.ticks.put_next(Vec::new(), crate::lake::commit::append::append("trade_date"), None, Vec::new()).await;
    let error = put.err().unwrap();
    assert!(matches!(&error, LakeError::Store { problem: StoreProblem::FolderChanged, .. }), "{error}");
    assert!(!root.join("ticks/_delta_log/00000000000000000002.json").exists());
    append(&mut lake, advance(0, Some(5), 5, 9)).await.unwrap().committed();
    assert_eq!(rows(&mut lake).await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_or_cut_is_not_committed() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let store = lake.ticks_store();
        let file = write(&lake, 0, OffsetRange::new(0, 5).unwrap()).await;
        let path = Path::from(file.path.as_str());
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        let advances = [advance(0, None, 0, 5)];
        store.put(&path, bytes.slice(..bytes.len() - 1).into()).await.unwrap();
        let cut = lake.commit_ticks(std::slice::from_ref(&file), &advances, &CommitNote::default()).await.unwrap_err();
        assert!(cut.needs_new_files() && cut.to_string().contains("bytes"), "{cut}");
        store.delete(&path).await.unwrap();
        let gone = lake.commit_ticks(std::slice::from_ref(&file), &advances, &CommitNote::default()).await.unwrap_err();
        assert!(gone.needs_new_files() && gone.to_string().contains(&file.path), "{gone}");
        lake.refresh().await.unwrap();
        assert_eq!((lake.version(), lake.next_offset(0).await.unwrap()), (0, None));

        let dead = Advance::dead(0, None, 0, 1, 1);
        let missing = NewFile { path: "dead_date=2025-11-20/part-1.parquet".to_owned(), ..file.clone() };
        let gone = lake.commit_dead_letters(&[missing], &[dead]).await.unwrap_err();
        assert!(gone.needs_new_files(), "{gone}");

        store.put(&path, bytes.into()).await.unwrap();
        lake.commit_ticks(&[file], &advances, &CommitNote::default()).await.unwrap().committed();
        assert_eq!(rows(&mut lake).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_must_exist_is_not_created() {
    for test_lake in test_lakes() {
        let must_exist = LakeSpec { must_exist: true, ..spec() };
        let refused = test_lake.lake_of(&must_exist).await.unwrap_err();
        assert!(matches!(refused, LakeError::MustExist { .. }), "{refused}");
        assert!(matches!(&test_lake.location, Location::S3 { .. }) || !root(&test_lake).exists(), "nothing was made");
        assert!(test_lake.lake().await.is_new());
        assert!(!test_lake.lake_of(&must_exist).await.unwrap().is_new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_older_mapping_don_t_follow_a_newer_one() {
    for test_lake in test_lakes() {
        let bid = ("bid".to_owned(), ExtraSpec { path: "/b".to_owned(), kind: ExtraType::Double });
        let changed = LakeSpec { input: r#"{"preset":"binance"}"#.to_owned(), accept_input_change: true, ..spec() };
        let wider = LakeSpec { extras: vec![bid], ..changed.clone() };
        let mut old = test_lake.lake().await;
        append(&mut old, advance(0, None, 0, 5)).await.unwrap().committed();
        for newer in [changed, wider] {
            let mut new = test_lake.lake_of(&newer).await.unwrap();
            let refused = append(&mut old, advance(0, Some(5), 5, 9)).await.unwrap_err();
            assert!(matches!(refused, LakeError::MappingChanged { .. }), "{refused}");
            // Verdicts go by the mapping as well, and their table doesn't know it.
            let dead = old.commit_dead_letters(&[], &[Advance::dead(0, None, 5, 6, 1)]).await.unwrap_err();
            assert!(matches!(dead, LakeError::MappingChanged { .. }), "{dead}");
            assert_eq!(new.dead_next_offset(0).await.unwrap(), None);
            new.refresh().await.unwrap();
            assert_eq!(new.next_offset(0).await.unwrap(), Some(5));
            old = new;
        }
        append(&mut old, advance(0, Some(5), 5, 9)).await.unwrap().committed();
        assert_eq!(rows(&mut old).await, 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_to_a_missing_checkpoint_is_ignored() {
    for test_lake in test_lakes() {
        let mut lake = test_lake.lake().await;
        let mut base = None;
        for start in (0..30).step_by(3) {
            append(&mut lake, advance(0, base, start, start + 3)).await.unwrap().committed();
            base = Some(start + 3);
        }
        let log_maintenance = LogMaintenance { commits: 5, clean: false };
        test_lake.maintenance().await.run(log_maintenance, Utc::now()).await.unwrap();
        let store = lake.ticks_store();
        let hint = Path::from("_delta_log/_last_checkpoint");
        let right = store.get(&hint).await.unwrap().bytes().await.unwrap();
        // One that is gone, one that never was, and one ahead of the log.
        for version in [10, 4, 1_000_000] {
            if version == 10 {
                store.delete(&Path::from("_delta_log/00000000000000000010.checkpoint.parquet")).await.unwrap();
            } else {
                store.put(&hint, format!(r#"{{"version":{version},"size":10}}"#).into()).await.unwrap();
            }
            let mut reader = test_lake.reader().await.unwrap();
            assert_eq!((rows(&mut reader).await, reader.next_offset(0).await.unwrap()), (30, Some(30)), "{version}");
            assert_eq!(reader.at(AsOf::Version(3)).await.unwrap().version(), 3);
            let mut writer = test_lake.lake().await;
            assert_eq!(writer.next_offset(7).await.unwrap(), None);
            append(&mut writer, advance(1, None, 0, 1)).await.unwrap().committed();
            // The next checkpoint comes when it is due, and repairs the hint.
            let done = test_lake.maintenance().await.run(log_maintenance, Utc::now()).await.unwrap();
            assert_eq!(done.checkpoints, 1, "{version}");
            let repaired = store.get(&hint).await.unwrap().bytes().await.unwrap();
            assert!(String::from_utf8_lossy(&repaired).contains(r#""version":11"#), "{repaired:?}");
            store.delete(&Path::from("_delta_log/00000000000000000011.checkpoint.parquet")).await.unwrap();
            forget_log(&store, 11..12).await;
            store.put(&hint, right.clone().into()).await.unwrap();
        }
    }
}
