//! A wall clock that is wrong: tests/limits/clock.c moves it for one process.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{Place, Tickhouse, Topic, spec, ticks, until_latest};

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
    let told = month_ahead(&["maintain", "--format", "csv"]);
    assert!(told.contains("ticks,deleted,1,1"), "{told}");
    assert!(young.exists() && !orphan.exists());
}
