//! `produce replay`: what is in the topic after a failure, and how the next run goes on.

use std::path::Path;

use tickhouse::kafka::{ReadProgress, TopicReader};

use crate::support::{Finished, PATIENCE, Tickhouse, Topic};

const BAD: &str = "x1";

/// A row a second; the close is the number of the row from 1 on. One row may be a wrong one.
fn write_rows(path: &Path, rows: usize, bad: Option<usize>) {
    let mut text = "symbol,ts,close\n".to_owned();
    for row in 1..=rows {
        let close = if bad == Some(row) { BAD.to_owned() } else { row.to_string() };
        text.push_str(&format!("S{},{},{close}\n", row % 3, 1_700_000_000 + row));
    }
    std::fs::write(path, text).unwrap();
}

fn replay(topic: &Topic, file: &Path, flags: &[&str]) -> Tickhouse {
    let words = ["produce", "replay", "--time-unit", "s", file.to_str().unwrap()];
    Tickhouse::new(&[&words[..], flags].concat()).flags(&topic.flags())
}

/// The rows that a reader of committed messages finds, in the order of the only partition.
fn committed_rows(topic: &Topic) -> Vec<usize> {
    let mut reader = TopicReader::open(&topic.kafka, PATIENCE).unwrap();
    reader.start(&[(0, 0)]).unwrap();
    let mut rows = Vec::new();
    let mut progress = ReadProgress::More;
    while progress == ReadProgress::More {
        progress = reader
            .read(|record| {
                let message: serde_json::Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
                rows.push(message["close"].as_f64().unwrap() as usize);
            })
            .unwrap();
    }
    rows
}

fn assert_says(finished: &Finished, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert!(finished.stdout.contains(stdout) && finished.stderr.contains(stderr), "{finished:?}");
}

/// The embedded broker forgets the offsets of transactions.
fn needs_kafka() -> bool {
    if Topic::is_embedded() {
        eprintln!("the embedded broker keeps no offsets of transactions: run with TICKHOUSE_TEST_BROKERS");
    }
    Topic::is_embedded()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_without_a_name_says_how_many_messages_are_in_the_topic() {
    let topic = Topic::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    write_rows(&file, 5_000, Some(4_500));
    let failed = replay(&topic, &file, &[]).run();
    assert_says(&failed, 1, "acknowledged 4096 of 4096 messages", "row 4500: column 'close': 'x1' is not a number");
    assert!(failed.stderr.contains("the first 4096 messages of the input are in the topic"), "{failed:?}");
    assert!(failed.stderr.contains("--resume NAME"), "{failed:?}");
    write_rows(&file, 3, Some(1));
    let failed = replay(&topic, &file, &[]).run();
    assert_says(&failed, 1, "acknowledged 0 of 0", "nothing of the input is in the topic");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_wrong_row_is_committed() {
    let topic = Topic::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    write_rows(&file, 5_000, Some(4_500));
    let failed = replay(&topic, &file, &["--resume", "it"]).run();
    assert_says(
        &failed,
        1,
        "acknowledged 4096 of 4096",
        "4096 messages of replay 'it' are in the topic; correct the cause",
    );
    assert!(failed.stderr.contains("row 4500"), "{failed:?}");
    assert_eq!(committed_rows(&topic), (1..=4_096).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_goes_on_after_a_wrong_row_was_corrected() {
    if needs_kafka() {
        return;
    }
    let topic = Topic::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    let run = |flags: &[&str]| replay(&topic, &file, &[&["--resume", &topic.kafka.topic], flags].concat()).run();

    write_rows(&file, 30_000, Some(25_000));
    let failed = run(&[]);
    assert_says(&failed, 1, "acknowledged 24576 of 24576", "no earlier run");
    assert!(failed.stderr.contains("row 25000") && failed.stderr.contains("24576 messages of replay"), "{failed:?}");

    write_rows(&file, 30_000, None);
    let counted = run(&["--count", "1000"]);
    assert_says(&counted, 0, "acknowledged 1000 of 1000", "24576 messages are in the topic; going on behind them");
    assert!(counted.stdout.contains("25576 messages of replay"), "{counted:?}");
    let paced = run(&["--pace", "1000000x", "--duration", "0ms"]);
    assert_says(&paced, 0, "acknowledged 0 of 0", "25576 messages are in the topic");
    assert_says(&run(&[]), 0, "acknowledged 4424 of 4424 messages", "25576 messages are in the topic");
    assert_says(&run(&[]), 0, "is complete: its 30000 messages are in the topic, and nothing was sent", "");
    assert_eq!(committed_rows(&topic), (1..=30_000).collect::<Vec<_>>());

    write_rows(&file, 29_999, None);
    assert_says(&run(&[]), 2, "", "it has sent 30000 messages, and this input has only 29999");
    write_rows(&file, 30_001, None);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(",7\n", ",7.5\n")).unwrap();
    let refused = run(&[]);
    assert_says(&refused, 2, "", "the first 30000 messages of this input are not the ones that it has sent");
    assert!(refused.stdout.is_empty() && refused.stderr.contains("both are of a.csv"), "{refused:?}");
    let other = folder.path().join("b.csv");
    write_rows(&other, 30_001, Some(1));
    let text = std::fs::read_to_string(&other).unwrap();
    std::fs::write(&other, text.replace(BAD, "9")).unwrap();
    let refused = replay(&topic, &other, &["--resume", &topic.kafka.topic]).run();
    assert_says(&refused, 2, "", "they were of a.csv, and these are of b.csv");
    assert_says(&run(&["--message-format", "binance"]), 2, "", "are not the ones that it has sent");
    assert_eq!(committed_rows(&topic).len(), 30_000);

    // The same messages from a pipe, with a row more.
    write_rows(&file, 30_001, None);
    let piped = Tickhouse::new(&["produce", "replay", "-", "--file-format", "csv", "--time-unit", "s"])
        .flags(&["--resume".to_owned(), topic.kafka.topic.clone()])
        .flags(&topic.flags())
        .input(&std::fs::read_to_string(&file).unwrap());
    assert_says(&piped.run(), 0, "is complete with 30001 messages", "30000 messages are in the topic");
    assert_eq!(committed_rows(&topic), (1..=30_001).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paced_replay_is_visible_while_it_waits_and_a_stop_loses_nothing() {
    if needs_kafka() {
        return;
    }
    let topic = Topic::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    write_rows(&file, 100_000, None);
    // A row each 2 ms, then an hour of nothing.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(",1700000101,", ",1800000000,")).unwrap();
    let name = topic.kafka.topic.as_str();
    let mut first = replay(&topic, &file, &["--resume", name, "--pace", "500x", "--log", "info"]).start();
    first.line("no earlier run");
    while committed_rows(&topic).len() < 100 {
        tokio::task::yield_now().await;
    }
    first.signal("TERM");
    assert_says(&first.finish(), 0, "100 messages of replay", "");
    assert_eq!(committed_rows(&topic), (1..=100).collect::<Vec<_>>());
    let rest = replay(&topic, &file, &["--resume", name]).succeed();
    assert!(rest.contains("is complete with 100000 messages"), "{rest}");
    assert_eq!(committed_rows(&topic), (1..=100_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_with_one_name_the_later_goes_on_and_the_earlier_ends() {
    if needs_kafka() {
        return;
    }
    let topic = Topic::new(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    write_rows(&file, 20_000, None);
    let name = topic.kafka.topic.as_str();
    let mut first = replay(&topic, &file, &["--resume", name, "--pace", "100x"]).start();
    first.line("no earlier run");
    while committed_rows(&topic).is_empty() {
        tokio::task::yield_now().await;
    }
    let second = replay(&topic, &file, &["--resume", name]).succeed();
    assert!(second.contains("is complete with 20000 messages"), "{second}");
    assert_says(&first.finish(), 1, "", "another run of the replay");
    assert_eq!(committed_rows(&topic), (1..=20_000).collect::<Vec<_>>());
}
