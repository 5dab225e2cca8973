//! `tickhouse doctor`: each damage is found, the safe ones are fixed, and ingest goes on with every row once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use serde_json::Value;
use tickhouse::lake::LogMaintenance;

use crate::support::{Contents, Place, Tickhouse, Topic, over_stores, spec, tick, ticks, until_latest};
use crate::verify::damage::{TableFolder, with_column};
use crate::verify::{Filled, filled};

struct Examined {
    code: Option<i32>,
    report: Value,
}

fn examine(place: &Place, words: &[&str]) -> Examined {
    let finished = Tickhouse::new(&[&["doctor", "--format", "json"], words].concat()).flags(&place.flags()).run();
    let report = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    Examined { code: finished.code, report }
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

impl Examined {
    fn checks(&self) -> Vec<(String, String, String, String)> {
        let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
        let checks = self.report["checks"].as_array().unwrap().iter();
        checks
            .map(|check| (text(check, "check"), text(check, "status"), text(check, "detail"), text(check, "fix")))
            .collect()
    }

    /// Checks that are not well, with their status.
    fn unwell(&self) -> Vec<(String, String)> {
        let unwell = self.checks().into_iter().filter(|(_, status, ..)| status != "ok");
        unwell.map(|(check, status, ..)| (check, status)).collect()
    }

    /// This is all that is not well; (detail, fix) of it.
    fn only(&self, check: &str, status: &str) -> (String, String) {
        assert_eq!(self.unwell(), [(check.to_owned(), status.to_owned())], "{:#}", self.report);
        let is_healthy = status == "fixed";
        let code = if is_healthy { Some(0) } else { Some(4) };
        assert_eq!((self.code, self.report["healthy"].as_bool()), (code, Some(is_healthy)), "{:#}", self.report);
        let (_, _, detail, fix) = self.checks().into_iter().find(|one| one.1 == status).unwrap();
        assert!(!fix.is_empty());
        (detail, fix)
    }

    fn assert_well(&self) {
        assert_eq!((self.code, self.unwell()), (Some(0), Vec::new()), "{:#}", self.report);
    }

    fn copies(&self, place: &Place) -> PathBuf {
        Path::new(&place.table).join(self.report["copies"].as_str().unwrap_or_else(|| panic!("{:#}", self.report)))
    }
}

/// Every file of a lake but what doctor itself wrote.
fn files(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, found),
                false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(Path::new(&place.table), &mut found);
    found.retain(|path, _| !path.to_str().unwrap().contains("/_tickhouse/"));
    found
}

fn verify(place: &Place, topic: &Topic) {
    let verify = Tickhouse::new(&["verify", "--against-kafka"]).flags(&place.flags()).flags(&topic.flags());
    let finished = verify.run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// The lake is read, ingest goes on, and every row is there once.
async fn goes_on(place: &Place, filled: &Filled) {
    let before = filled.topic.send(&[tick(9_000), tick(9_001)]).len() as u64;
    until_latest(spec(&filled.topic, place)).await.unwrap();
    let contents = Contents::of(place).await;
    contents.assert_balanced().await;
    let identities: BTreeSet<_> = contents.rows.iter().map(|row| (row.partition, row.offset, row.index)).collect();
    assert_eq!(identities.len(), contents.rows.len());
    assert_eq!((contents.rows.len() as u64, contents.letters.len() as u64), (filled.rows + before, filled.dead));
    verify(place, &filled.topic);
    examine(place, &words(&filled.topic.flags())).assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_lake_is_well() {
    over_stores(async |place| {
        let filled = filled(&place).await;
        let examined = examine(&place, &words(&filled.topic.flags()));
        examined.assert_well();
        let names: BTreeSet<String> = examined.checks().into_iter().map(|(check, ..)| check).collect();
        for name in [
            "configuration",
            "permissions",
            "ticks/log",
            "ticks/properties",
            "ticks/files",
            "dead_letters/log",
            "dead_letters/files",
            "broker",
            "topic",
            "lag",
        ] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
        let on_s3 = place.table.starts_with("s3://");
        assert_eq!((names.contains("conditional-put"), names.contains("clock")), (on_s3, on_s3), "{names:?}");

        let alone = examine(&place, &[]);
        alone.assert_well();
        assert!(alone.report["not_checked"].to_string().contains("--brokers"), "{:#}", alone.report);
        let table = Tickhouse::new(&["doctor"]).flags(&place.flags()).run();
        assert!(table.stdout.starts_with("check,status,detail,fix\nconfiguration,ok,"), "{table:?}");
        assert!(table.stderr.contains(" ok") && table.stderr.contains("not checked: Kafka"), "{table:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_without_a_lake_is_left_as_it_is() {
    let place = Place::folder();
    examine(&place, &[]).assert_well();
    assert!(!Path::new(&place.table).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_newest_commit_is_taken_away_and_read_again() {
    for torn in [false, true] {
        let place = Place::folder();
        let filled = filled(&place).await;
        let ticks = TableFolder::new(&place, "ticks");
        let newest = ticks.commit(ticks.newest());
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, if torn { &bytes[..bytes.len() / 2] } else { b"" }).unwrap();

        let before = files(&place);
        let (detail, fix) = examine(&place, &[]).only("ticks/log", "fail");
        assert!(detail.contains(newest.file_name().unwrap().to_str().unwrap()), "{detail}");
        assert!(fix.contains("doctor --fix"), "{fix}");
        assert_eq!(files(&place), before, "nothing is changed without --fix");

        let fixed = examine(&place, &["--fix"]);
        let (detail, _) = fixed.only("ticks/log", "fixed");
        assert!(detail.contains("removed the commit"), "{detail}");
        assert!(!newest.exists());
        let copy = fixed.copies(&place).join("ticks/_delta_log").join(newest.file_name().unwrap());
        assert_eq!(fs::read(copy).unwrap(), before[&newest]);
        assert_eq!(files(&place).len(), before.len() - 1);
        goes_on(&place, &filled).await;
    }
}

/// Where another commit follows, or dead letters were passed, taking the commit away would lose something.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_something_is_only_told() {
    let healthy = Place::folder();
    let filled = filled(&healthy).await;

    let place = healthy.copied();
    let ticks = TableFolder::new(&place, "ticks");
    fs::write(ticks.commit(ticks.newest() - 1), b"").unwrap();
    let before = files(&place);
    let (_, fix) = examine(&place, &["--fix"]).only("ticks/log", "fail");
    assert!(fix.contains("backup") && !fix.contains("doctor --fix"), "{fix}");
    assert_eq!(files(&place), before);

    let place = healthy.copied();
    let letters = TableFolder::new(&place, "dead_letters");
    fs::write(letters.commit(letters.newest()), b"{\"add\":").unwrap();
    let before = files(&place);
    let (_, fix) = examine(&place, &["--fix"]).only("dead_letters/log", "fail");
    assert!(fix.contains("has passed dead letters"), "{fix}");
    assert_eq!(files(&place), before);
    // Ingest has yet to commit what is beside these letters.
    let ticks = TableFolder::new(&place, "ticks");
    let fixed = loop {
        assert!(ticks.newest() > ticks.checkpoint(), "a commit of the last messages counts the letters");
        fs::remove_file(ticks.commit(ticks.newest())).unwrap();
        let examined = examine(&place, &["--fix"]);
        if examined.code == Some(0) {
            break examined;
        }
    };
    fixed.only("dead_letters/log", "fixed");
    goes_on(&place, &filled).await;

    let place = healthy.copied();
    let ticks = TableFolder::new(&place, "ticks");
    let (_, add) = ticks.newest_add();
    fs::remove_file(ticks.file(&add)).unwrap();
    let (detail, fix) = examine(&place, &["--fix"]).only("ticks/files", "fail");
    assert!(detail.contains(add["path"].as_str().unwrap()) && fix.contains("backup"), "{detail}: {fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_and_a_commit_beside_its_checkpoint_are_told() {
    let healthy = Place::folder();
    filled(&healthy).await;
    for gone in ["ticks", "dead_letters"] {
        let place = healthy.copied();
        fs::remove_dir_all(Path::new(&place.table).join(gone)).unwrap();
        let (detail, fix) = examine(&place, &["--fix"]).only(&format!("{gone}/log"), "fail");
        assert!(detail.contains("gone") && fix.contains("backup"), "{detail}: {fix}");
        let told = Tickhouse::new(&["verify"]).flags(&place.flags()).run();
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.stderr.contains(&format!("{gone} is gone")), "{told:?}");
    }
    for damage in ["", "{\"commitInfo\""] {
        let place = healthy.copied();
        let ticks = TableFolder::new(&place, "ticks");
        place.maintenance().await.run(LogMaintenance { commits: 1, clean: false }, chrono::Utc::now()).await.unwrap();
        assert_eq!(ticks.checkpoint(), ticks.newest());
        fs::write(ticks.commit(ticks.newest()), damage).unwrap();
        let before = files(&place);
        let (detail, fix) = examine(&place, &["--fix"]).only("ticks/log", "fail");
        assert!(detail.contains("no action") || detail.contains("EOF"), "{detail}");
        assert!(fix.contains("the checkpoint of its version"), "{fix}");
        assert_eq!(files(&place), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_can_t_be_read_are_taken_away() {
    let healthy = Place::folder();
    let filled = filled(&healthy).await;
    let hint = |table: &TableFolder| table.log().join("_last_checkpoint");
    let checkpoint = |table: &TableFolder| table.log().join(format!("{:020}.checkpoint.parquet", table.checkpoint()));

    let place = healthy.copied();
    let ticks = TableFolder::new(&place, "ticks");
    fs::write(hint(&ticks), b"{\"version\":").unwrap();
    examine(&place, &[]).only("ticks/log", "fail");
    let fixed = examine(&place, &["--fix"]);
    fixed.only("ticks/log", "fixed");
    assert!(!hint(&ticks).exists() && checkpoint(&ticks).exists());
    assert!(fixed.copies(&place).join("ticks/_delta_log/_last_checkpoint").exists());
    examine(&place, &[]).assert_well();
    assert_eq!(Contents::of(&place).await.rows.len() as u64, filled.rows);

    let place = healthy.copied();
    for name in ["ticks", "dead_letters"] {
        let table = TableFolder::new(&place, name);
        let bytes = fs::read(checkpoint(&table)).unwrap();
        fs::write(checkpoint(&table), &bytes[..bytes.len() - 20]).unwrap();
    }
    let fixed = examine(&place, &["--fix"]);
    let both = ["ticks/log", "dead_letters/log"].map(|check| (check.to_owned(), "fixed".to_owned()));
    assert_eq!((fixed.code, fixed.unwell()), (Some(0), both.to_vec()), "{:#}", fixed.report);
    for name in ["ticks", "dead_letters"] {
        let table = TableFolder::new(&place, name);
        assert!(!hint(&table).exists());
        let copies = fixed.copies(&place).join(name).join("_delta_log");
        assert_eq!(fs::read_dir(copies).unwrap().count(), 2);
    }
    goes_on(&place, &filled).await;

    // The commits that it holds are gone, so nothing but the checkpoint has them.
    let place = healthy.copied();
    let ticks = TableFolder::new(&place, "ticks");
    fs::remove_file(ticks.commit(0)).unwrap();
    examine(&place, &[]).assert_well();
    fs::write(checkpoint(&ticks), b"PAR1").unwrap();
    let before = files(&place);
    let left = examine(&place, &["--fix"]);
    assert_eq!(left.code, Some(4), "{:#}", left.report);
    assert!(left.unwell().iter().all(|(_, status)| status == "fail"), "{:#}", left.report);
    assert_eq!(files(&place), before);
}

/// Earlier versions stored what a producer had set in nanoseconds.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_timestamps_that_no_clock_shows_come_with_a_way_to_live_with_them() {
    let healthy = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..30));
    topic.send(&["no tick"]);
    until_latest(spec(&topic, &healthy)).await.unwrap();
    for name in ["ticks", "dead_letters"] {
        let place = healthy.copied();
        TableFolder::new(&place, name).rewrite(|rows| {
            let times = rows["kafka_ts"].as_primitive::<TimestampMicrosecondType>();
            let odd =
                times.unary::<_, TimestampMicrosecondType>(|_| i64::MAX).with_data_type(times.data_type().clone());
            with_column(&rows, "kafka_ts", Arc::new(odd))
        });
        let (detail, fix) = examine(&place, &[]).only(&format!("{name}/kafka-ts"), "warn");
        assert!(detail.starts_with("Kafka timestamps outside of 1990 to 2261 in 1 of "), "{detail}");
        assert!(fix.contains("CASE WHEN kafka_ts >= '1990-01-01'"), "{fix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_told_by_their_age() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..30));
    until_latest(spec(&topic, &place)).await.unwrap();
    let ticks = TableFolder::new(&place, "ticks");
    let (_, add) = ticks.newest_add();
    let data = ticks.file(&add);
    let orphan = data.with_file_name("part-orphan.zstd.parquet");
    let temporary = data.with_file_name(".tmp-0123#0");
    fs::copy(&data, &orphan).unwrap();
    fs::write(&temporary, b"half of a file").unwrap();
    examine(&place, &["--fix"]).assert_well();
    assert!(temporary.exists());

    let old = SystemTime::now() - Duration::from_secs(3 * 24 * 3_600);
    for file in [&orphan, &temporary] {
        fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    let told = examine(&place, &[]);
    let warned = ["ticks/orphans", "temporary-files"].map(|check| (check.to_owned(), "warn".to_owned()));
    assert_eq!((told.code, told.unwell()), (Some(4), warned.to_vec()), "{:#}", told.report);
    let fixed = examine(&place, &["--fix"]);
    let unwell = fixed.unwell();
    assert!(unwell.contains(&("temporary-files".to_owned(), "fixed".to_owned())), "{unwell:?}");
    assert!(unwell.contains(&("ticks/orphans".to_owned(), "warn".to_owned())), "{unwell:?}");
    assert!(orphan.exists() && !temporary.exists());
    examine(&place, &[]).only("ticks/orphans", "warn");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_and_the_topic_are_compared_with_the_lake() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..3));
    until_latest(spec(&topic, &place)).await.unwrap();
    let config = place.table.clone() + ".toml";
    let with = |text: &str, words: &[&str]| {
        fs::write(&config, text).unwrap();
        examine(&place, &[&["--config", config.as_str()], words].concat())
    };
    let (detail, _) = with("[kafka]\nbroker = \"x\"\n", &[]).only("configuration", "fail");
    assert!(detail.contains("brokers"), "{detail}");
    let (detail, _) = with("[ingest]\nmarket_zone = \"Mars\"\n", &[]).only_of("configuration");
    assert!(detail.contains("Mars"), "{detail}");
    let (detail, _) = with("[ingest]\npartition_by = \"month\"\n", &[]).only("ticks/properties", "fail");
    assert!(detail.contains("the lake has day, the configuration month"), "{detail}");
    let (_, fix) = examine(&place, &["--input", "binance"]).only("ticks/properties", "fail");
    assert!(fix.contains("--accept-input-change"), "{fix}");
    let (detail, _) = examine(&place, &["--brokers", "127.0.0.1:1"]).only("broker", "fail");
    assert!(detail.contains("127.0.0.1:1"), "{detail}");

    // Another cluster, or another topic of the same name.
    let other = Topic::named(&topic.kafka.topic, 2);
    if Topic::is_embedded() {
        let (_, fix) = examine(&place, &words(&other.flags())).only("topic", "fail");
        assert!(fix.contains("--new-epoch"), "{fix}");
        let none = Topic::new(1);
        let flags = ["--brokers", none.kafka.brokers.as_str(), "--topic", topic.kafka.topic.as_str()];
        let found = examine(&place, &flags);
        assert_eq!(found.code, Some(4), "{:#}", found.report);
    }
}

impl Examined {
    /// As [`Self::only`], where the same mistake shows in the properties, too.
    fn only_of(&self, check: &str) -> (String, String) {
        assert_eq!(self.code, Some(4), "{:#}", self.report);
        let found = self.checks().into_iter().find(|one| one.0 == check && one.1 == "fail");
        let (_, _, detail, fix) = found.unwrap_or_else(|| panic!("{:#}", self.report));
        (detail, fix)
    }
}
