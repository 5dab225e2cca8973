//! Connections that can't work: told at once, with the fix, and by the exit code. What takes a broker with SASL and
//! TLS is in `.ci/lanes/security.sh`.

use std::time::{Duration, Instant};

use crate::support::{Place, Tickhouse, Topic};

const USAGE: Option<i32> = Some(2);
/// Commands wait for brokers that are away for a minute; what is told here needs no waiting.
const AT_ONCE: Duration = Duration::from_secs(30);

#[test]
fn tls_on_a_port_without_is_told() {
    let (topic, place) = (Topic::new(1), Place::folder());
    for words in [
        vec!["produce", "simulate", "--count", "1", "--tls"],
        vec!["ingest", "--until-latest", "--tls"],
        vec!["ingest", "--dry-run", "--tls"],
    ] {
        let begun = Instant::now();
        let mut run = Tickhouse::new(&words).flags(&topic.flags());
        if words[0] == "ingest" {
            run = run.flags(&place.flags());
        }
        let finished = run.run();
        assert_eq!(finished.code, USAGE, "{words:?}: {finished:?}");
        for told in [topic.kafka.brokers.as_str(), "TLS", "--tls"] {
            assert!(finished.stderr.contains(told), "{words:?}: no {told} in {finished:?}");
        }
        assert_eq!(finished.stderr.lines().count(), 1, "one line: {finished:?}");
        assert!(begun.elapsed() < AT_ONCE, "{words:?}: after {:?}", begun.elapsed());
    }
}

#[test]
fn settings_are_checked_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let no_pem = folder.path().join("no.pem");
    std::fs::write(&no_pem, "no certificate").unwrap();
    let no_pem = no_pem.to_str().unwrap();
    let table = folder.path().join("lake").to_str().unwrap().to_owned();
    for (flags, told) in [
        (vec!["--ca", "/nowhere/ca.pem"], vec!["kafka.ca", "/nowhere/ca.pem", "correct the path"]),
        (vec!["--ca", no_pem], vec!["--ca", "can't be used"]),
        (vec!["--certificate", no_pem], vec!["certificate and key go together"]),
        (vec!["--username", "tick"], vec!["--username", "TICKHOUSE_KAFKA_PASSWORD"]),
        (vec!["--mechanism", "SCRAM-SHA-1"], vec!["SCRAM-SHA-1", "SCRAM-SHA-256, SCRAM-SHA-512"]),
        (vec!["-X", "sasl.mechanism=GSSAPI"], vec!["sasl.mechanism", "SCRAM-SHA-512"]),
        (vec!["-X", "ssl.keypassword=planted"], vec!["ssl.keypassword"]),
        (vec!["-X", "socket.timeout.ms=planted"], vec!["socket.timeout.ms"]),
        (vec!["-X", "metadata.broker.list=x:1"], vec!["metadata.broker.list", "remove it"]),
    ] {
        for command in [&["ingest", "--table", &table][..], &["produce", "simulate"]] {
            // Off the loopback and without TLS: a warning about that would come first.
            let finished = Tickhouse::new(command)
                .flags(&["--brokers", "kafka.invalid:9092", "--topic", "ticks"].map(str::to_owned))
                .flags(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
                .secret("planted")
                .run();
            assert_eq!(finished.code, USAGE, "{flags:?}: {finished:?}");
            for word in &told {
                assert!(finished.stderr.contains(word), "{flags:?}: no {word} in: {finished:?}");
            }
        }
    }
    let finished = Tickhouse::new(&["ingest", "--brokers", "kafka.invalid:9092", "--topic", "ticks"]).run();
    assert_eq!(finished.code, USAGE, "{finished:?}");
    assert!(finished.stderr.starts_with("error: configuration: table: missing"), "{finished:?}");
}

#[test]
fn plaintext_off_the_loopback_is_warned_of() {
    let place = Place::folder();
    let mut live = Tickhouse::new(&["ingest", "--brokers", "kafka.invalid:9092", "--topic", "ticks"])
        .flags(&place.flags())
        .expect_warning("not encrypted")
        .expect_warning("kafka.invalid:9092")
        .start();
    live.line("not encrypted; set --tls");
    live.line("kafka.invalid:9092");
    live.signal("TERM");
    let finished = live.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.ends_with("stopped before anything was read\n"), "{finished:?}");
}

#[test]
fn a_batch_that_is_stopped_before_its_end_is_no_success() {
    let place = Place::folder();
    let mut live = Tickhouse::new(&["ingest", "--until-latest", "--brokers", "127.0.0.1:1", "--topic", "ticks"])
        .flags(&place.flags())
        .expect_warning("127.0.0.1:1")
        .start();
    live.line("127.0.0.1:1");
    live.signal("TERM");
    let finished = live.finish();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.ends_with("error: stopped before anything was read; run it again\n"), "{finished:?}");
}

#[test]
fn a_producer_that_is_stopped_before_it_began_says_so() {
    let mut live = Tickhouse::new(&["produce", "simulate", "--brokers", "kafka.invalid:9092", "--topic", "ticks"])
        .expect_warning("not encrypted")
        .start();
    live.line("not encrypted");
    live.signal("TERM");
    let finished = live.finish();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.ends_with("error: stopped before anything was sent; run it again\n"), "{finished:?}");
}
