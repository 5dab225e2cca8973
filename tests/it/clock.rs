//! A wall clock that is wrong: tests/limits/clock.c moves it for one process.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Contents, PATIENCE, Place, Tickhouse, Topic, spec, ticks, until_latest};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is loaded before libc.
fn shim(folder: &Path) -> String {
    let library = folder.join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/limits/clock.c");
    let mut compiler = Command::new("cc");
    let made = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status().unwrap();
    assert!(made.success());
    library.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_deletes_nothing_that_is_young() {
    let place = Place::folder();
    let topic = Topic::new(1);
    topic.send(&ticks(0..30));
    until_latest(spec(&topic, &place)).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (library, off) = (shim(scratch.path()), scratch.path().join("off"));
    std::fs::write(&off, (30 * 24 * 3600).to_string()).unwrap();
    let off = off.to_str().unwrap();
    let month_ahead = |words: &[&str]| {
        let command = Tickhouse::new(words).flags(&place.flags());
        command.env("LD_PRELOAD", &library).env("CLOCK_OFF_FILE", off).succeed()
    };
    let now = month_ahead(&["query", "SELECT now() AS n", "--format", "csv"]);
    let today = Tickhouse::new(&["query", "SELECT now() AS n", "--format", "csv"]).flags(&place.flags()).succeed();
    assert_ne!(now[..12], today[..12], "the clock is not moved");

    // A flush that is under way, and what a killed one left.
    let folder = Path::new(&place.table).join("ticks/trade_date=2026-01-05");
    let (young, orphan) = (folder.join("part-1.zstd.parquet"), folder.join("part-2.zstd.parquet"));
    for (path, age) in [(&young, Duration::ZERO), (&orphan, 8 * DAY)] {
        std::fs::write(path, "x").unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
    let commits = || std::fs::read_dir(Path::new(&place.table).join("ticks/_delta_log")).unwrap().count();
    let before = commits();
    let told = month_ahead(&["maintain", "--format", "csv"]);
    assert!(told.contains("ticks,deleted,1,1"), "{told}");
    assert!(young.exists() && !orphan.exists());
    assert_eq!(commits(), before + 2, "no commit is old; a checkpoint and its hint came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_could_not_be_committed_for_half_a_day_is_written_anew() {
    let place = Place::folder();
    let topic = Topic::new(1);
    until_latest(spec(&topic, &place)).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (library, off) = (shim(scratch.path()), scratch.path().join("off"));
    std::fs::write(&off, "0").unwrap();
    // Dead letters can't be committed: their next version is there, and can't be read.
    let blocked = Path::new(&place.table).join("dead_letters/_delta_log/00000000000000000001.json");
    std::fs::create_dir(&blocked).unwrap();
    topic.send(&ticks(0..30));
    topic.send(&["no tick"]);
    let command = Tickhouse::new(&["ingest", "--market-zone", "UTC", "--maintain", "off"]);
    let command = command.flags(&place.flags()).flags(&topic.flags());
    let command = command.env("LD_PRELOAD", &library).env("CLOCK_OFF_FILE", off.to_str().unwrap());
    let warnings = ["commit not confirmed", "reading the batch again", "another worker was faster"];
    let mut running = warnings.into_iter().fold(command, Tickhouse::expect_warning).start();
    let data_files = || {
        let dates = std::fs::read_dir(Path::new(&place.table).join("dead_letters")).unwrap();
        let dates = dates.map(|date| date.unwrap().path()).filter(|date| !date.ends_with("_delta_log"));
        dates.flat_map(|date| std::fs::read_dir(date).unwrap()).count()
    };
    let started = Instant::now();
    while data_files() == 0 {
        assert!(started.elapsed() < PATIENCE, "no file of dead letters came");
        tokio::task::yield_now().await;
    }
    std::fs::write(&off, (13 * 3600).to_string()).unwrap();
    running.line("reading the batch again");
    std::fs::remove_dir(&blocked).unwrap();
    running.line("committed");
    running.signal("TERM");
    let finished = running.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let contents = Contents::of(&place).await;
    assert_eq!((contents.rows.len(), contents.letters.len()), (30, 1));
}
