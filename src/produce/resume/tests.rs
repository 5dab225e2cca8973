//! Which inputs a replay goes on with, without a broker.

use super::*;

fn settings(input: &str) -> ResumeSettings {
    ResumeSettings { name: "backfill".to_owned(), input: input.to_owned(), report: |_| {} }
}

fn record<'a>(key: &'a str, payload: &'a str) -> ProducerRecord<'a> {
    ProducerRecord { key: Some(key.as_bytes()), payload: payload.as_bytes(), timestamp: None }
}

/// The position after a run that sent these messages.
fn sent(input: &str, messages: &[(&str, &str)]) -> CommittedPosition {
    let mut progress = ReplayProgress::new(&settings(input), None).unwrap();
    messages.iter().for_each(|(key, payload)| progress.read.add(&record(key, payload)));
    progress.position()
}

/// A later run with these messages: those that it has to send, or why it is refused.
fn resumed<'a>(
    position: &CommittedPosition,
    input: &str,
    messages: &[(&'a str, &'a str)],
) -> Result<Vec<(&'a str, &'a str)>, String> {
    let mut progress = ReplayProgress::new(&settings(input), Some(position.clone())).map_err(|e| e.to_string())?;
    let mut left = messages.iter();
    while progress.is_behind() {
        let Some((key, payload)) = left.next() else { return Err(progress.shorter_input().to_string()) };
        progress.read.add(&record(key, payload));
        if !progress.is_behind() {
            progress.check_messages().map_err(|error| error.to_string())?;
        }
    }
    Ok(left.copied().collect())
}

const ROWS: [(&str, &str); 4] = [("A", "1"), ("B", "2"), ("A", "3"), ("C", "4")];

#[test]
fn a_run_goes_on_behind_what_is_in_the_topic() {
    for count in 0..=ROWS.len() {
        assert_eq!(resumed(&sent("a.csv", &ROWS[..count]), "a.csv", &ROWS), Ok(ROWS[count..].to_vec()));
    }
}

#[test]
fn rows_that_were_not_sent_may_change_and_files_may_move() {
    let corrected = [ROWS[0], ROWS[1], ("A", "3.5"), ("D", "4"), ("E", "5")];
    assert_eq!(resumed(&sent("a.csv", &ROWS[..2]), "part-2.csv", &corrected), Ok(corrected[2..].to_vec()));
}

#[test]
fn other_messages_are_refused_wherever_the_difference_is() {
    let position = sent("a.csv", &ROWS[..3]);
    for other in [
        [("A", "1x"), ROWS[1], ROWS[2], ROWS[3]],
        [ROWS[0], ("X", "2"), ROWS[2], ROWS[3]],
        [ROWS[1], ROWS[0], ROWS[2], ROWS[3]],
        [ROWS[0], ROWS[1], ROWS[1], ROWS[2]],
        // The same bytes in a row, cut in another place.
        [ROWS[0], ("B2", ""), ROWS[2], ROWS[3]],
    ] {
        let error = resumed(&position, "a.csv", &other).unwrap_err();
        let text = "the first 3 messages of this input are not the ones that it has sent; both are of a.csv, so a row \
            was changed";
        assert!(error.contains(text) && error.contains("--resume OTHER"), "{error}");
    }
    let error = resumed(&position, "b.csv", &[("A", "9"); 3]).unwrap_err();
    assert!(error.contains("they were of a.csv, and these are of b.csv"), "{error}");
    let timed = ProducerRecord { timestamp: Some(5), ..record("A", "1") };
    let mut prefixes = [MessagePrefix::default(), MessagePrefix::default()];
    prefixes[0].add(&record("A", "1"));
    prefixes[1].add(&timed);
    assert_ne!(prefixes[0].fingerprint(), prefixes[1].fingerprint());
}

#[test]
fn a_shorter_input_is_refused() {
    let error = resumed(&sent("a.csv", &ROWS), "b.csv", &ROWS[..2]).unwrap_err();
    let text = "it has sent 4 messages, and this input has only 2; they were of a.csv, and these are of b.csv";
    assert!(error.contains(text), "{error}");
}

#[test]
fn an_offset_of_somebody_else_is_refused() {
    let foreign = CommittedPosition { messages: 3, metadata: String::new() };
    let error = resumed(&foreign, "a.csv", &ROWS).unwrap_err();
    assert!(error.contains("'tickhouse-replay-backfill'") && error.contains("--resume OTHER"), "{error}");
}

#[test]
fn metadata_has_room_in_kafka_whatever_the_number_of_files() {
    let names = vec!["ticks-of-a-very-long-name.csv"; 1_000].join(", ");
    let position = sent(&names, &ROWS);
    assert!(position.metadata.len() < 1_000, "{}", position.metadata.len());
    assert_eq!(resumed(&position, &names, &ROWS), Ok(vec![]));
}
