//! Standard output and signals of commands: readers that go away, a stop while a command waits, two demos.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{Place, Tickhouse, Topic, ticks};

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (topic, place) = (Topic::new(1), Place::folder());
    let sent = topic.send(&ticks(0..40));
    topic.send(&["no tick"]);
    let run = |words: &[&str]| Tickhouse::new(words).flags(&topic.flags()).flags(&place.flags());
    assert_eq!(run(&["ingest", "--until-latest"]).unread(), Some(0));
    assert_eq!(run(&["ingest", "--dry-run"]).unread(), Some(0));
    assert_eq!(run(&["config", "show"]).unread(), Some(0));
    assert_eq!(run(&["offsets", "show"]).unread(), Some(0));
    let give_up = ["offsets", "set", "--partition", "0=41", "--reason", "test"];
    assert_eq!(run(&give_up).unread(), Some(0));
    for words in [
        &["query", "--list"][..],
        &["query", "sma_crossover", "--show-sql"],
        &["query", "SELECT * FROM ticks"],
        &["query", "SELECT * FROM ticks", "--explain"],
        &["dead-letters", "list"],
        &["dead-letters", "show"],
    ] {
        assert_eq!(Tickhouse::new(words).flags(&place.flags()).unread(), Some(0), "{words:?}");
    }
    assert_eq!(Tickhouse::new(&["completions", "bash"]).unread(), Some(0));
    let produce = ["produce", "simulate", "--count", "5", "--rate", "0"];
    assert_eq!(Tickhouse::new(&produce).flags(&topic.flags()).unread(), Some(0));
    // What fails still says so, and what has a work to do has done it.
    assert_eq!(Tickhouse::new(&["query", "SELECT nothing FROM ticks"]).flags(&place.flags()).unread(), Some(1));
    assert_eq!(Tickhouse::new(&["config", "show", "--topic", "x"]).unread(), Some(2));
    let count = Tickhouse::new(&["query", "SELECT count(*) AS n FROM ticks"]).flags(&place.flags()).succeed();
    assert_eq!(count, format!("n\n{}\n", sent.len()));
    let end = run(&["offsets", "show", "--format", "json"]).succeed();
    let end: serde_json::Value = serde_json::from_str(&end).unwrap();
    assert_eq!(end["partitions"][0]["lag"], 5, "{end}");
}

#[test]
fn a_command_that_waits_for_brokers_ends_at_a_signal() {
    let (topic, place) = (Topic::new(1), Place::folder());
    topic.send(&ticks(0..5));
    Tickhouse::new(&["ingest", "--until-latest"]).flags(&topic.flags()).flags(&place.flags()).succeed();
    for words in
        [&["show"][..], &["set", "--partition", "0=5", "--reason", "test"], &["set", "--new-epoch", "--reason", "x"]]
    {
        // It takes the connection and never answers.
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let command = Tickhouse::new(&[&["offsets"], words].concat()).flags(&place.flags());
        let brokers = ["--brokers".to_owned(), broker.local_addr().unwrap().to_string()];
        let waiting = command.flags(&brokers).start();
        let connection = broker.accept().unwrap();
        waiting.signal("TERM");
        let asked = Instant::now();
        let finished = waiting.finish();
        assert!(asked.elapsed() < Duration::from_secs(5), "{words:?}");
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("stopped; nothing was changed"), "{finished:?}");
        drop(connection);
    }
}

#[test]
fn one_demo_at_a_time_has_a_folder() {
    let place = Place::folder();
    let demo = |more: &[&str]| Tickhouse::new(&[&["demo", "--rate", "100"], more].concat()).flags(&place.flags());
    let mut first = demo(&[]).start();
    first.line("Ctrl-C stops");
    let second = demo(&["--resume"]).run();
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("another demo is running in"), "{second:?}");
    first.signal("TERM");
    let first = first.finish();
    assert_eq!(first.code, Some(0), "{first:?}");
    let resumed = demo(&["--resume", "--duration", "1s"]).run();
    assert_eq!(resumed.code, Some(0), "{resumed:?}");

    let file = tempfile::NamedTempFile::new().unwrap();
    for (table, told) in [("s3://bucket/demo", "writes to a folder"), (file.path().to_str().unwrap(), "is a file")] {
        let refused = Tickhouse::new(&["demo", "--table", table]).run();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(told), "{refused:?}");
    }
}
