//! Damage to the tables, each named by its finding.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray};
use arrow::compute::filter_record_batch;
use serde_json::{Value, json};

use super::damage::{TableFolder, with_column, without_a_row};
use super::{filled, verify};
use crate::support::{Contents, Place};

/// Copies of one healthy lake.
struct Damages {
    healthy: Place,
}

impl Damages {
    /// A lake, its ticks, and its dead letters.
    fn fresh(&self) -> (Place, TableFolder, TableFolder) {
        let place = self.healthy.copied();
        let (ticks, letters) = (TableFolder::new(&place, "ticks"), TableFolder::new(&place, "dead_letters"));
        (place, ticks, letters)
    }
}

async fn damages() -> Damages {
    let healthy = Place::folder();
    filled(&healthy).await;
    verify(&healthy, &[]).assert_healthy();
    Damages { healthy }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_as_the_log_says_are_named() {
    let damages = damages().await;
    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    fs::remove_file(ticks.file(&add)).unwrap();
    let (file, detail) = verify(&place, &[]).only("file-missing", 1);
    assert_eq!(file, add["path"].as_str().unwrap());
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert!(detail.contains(&format!("it held {} rows of offsets", stats["numRecords"])), "{detail}");

    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    let size = add["size"].as_u64().unwrap();
    let file = fs::OpenOptions::new().write(true).open(ticks.file(&add)).unwrap();
    file.set_len(size - 10).unwrap();
    let (path, detail) = verify(&place, &[]).only("file-truncated", 1);
    assert_eq!(path, add["path"].as_str().unwrap());
    assert!(detail.contains(&format!("{} bytes of {size}", size - 10)), "{detail}");

    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    let mut bytes = fs::read(ticks.file(&add)).unwrap();
    bytes.extend_from_slice(b"PAR1");
    fs::write(ticks.file(&add), &bytes).unwrap();
    let (_, detail) = verify(&place, &[]).only("file-size-differs", 1);
    assert!(detail.contains(&format!("it has {} bytes, the log says {size}", bytes.len())), "{detail}");

    // Bytes of a page, so that the footer still fits.
    let (place, _, letters) = damages.fresh();
    let (_, add) = letters.newest_add();
    let mut bytes = fs::read(letters.file(&add)).unwrap();
    bytes[4..60].fill(0xff);
    fs::write(letters.file(&add), &bytes).unwrap();
    let (path, _) = verify(&place, &[]).only("file-unreadable", 1);
    assert_eq!(path, add["path"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_there_twice_or_not_at_all_are_named() {
    let damages = damages().await;
    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    let mut again = add.clone();
    again["path"] = json!(add["path"].as_str().unwrap().replace("part-", "part-again-"));
    fs::copy(ticks.file(&add), ticks.file(&again)).unwrap();
    let mut actions = ticks.actions(ticks.newest());
    actions.retain(|action| !action["commitInfo"].is_null());
    actions.push(json!({ "add": again }));
    ticks.write(ticks.newest() + 1, &actions);
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    let verified = verify(&place, &["--limit".to_owned(), "5".to_owned()]);
    let (identity, detail) = verified.only("identity-twice", stats["numRecords"].as_u64().unwrap());
    assert!(identity.starts_with("epoch 0, partition ") && detail.contains("part-"), "{identity}: {detail}");
    assert_eq!(verified.report["findings"].as_array().unwrap().len(), 5);

    let (place, ticks, _) = damages.fresh();
    let gone = Cell::new(0);
    ticks.rewrite(|rows| {
        let (rows, offset) = without_a_row(&rows);
        gone.set(offset);
        rows
    });
    let (partition, detail) = verify(&place, &[]).only("rows-missing", 1);
    // The range that was given up and the skip are in neither table either.
    assert!(detail.contains("in neither table: "), "{detail}");
    let told = detail.rsplit(": ").next().unwrap().split(", ").any(|gap| gap == gone.get().to_string());
    assert!(told && partition.starts_with("partition "), "{} in {detail}", gone.get());

    let (place, _, letters) = damages.fresh();
    letters.rewrite(|rows| {
        let kept: BooleanArray = (0..rows.num_rows()).map(|at| Some(at > 0)).collect();
        filter_record_batch(&rows, &kept).unwrap()
    });
    letters.edit_add(only_the_number_of_rows);
    let (partition, _) = verify(&place, &[]).only("dead-letters-missing", 1);
    assert!(partition.starts_with("partition "), "{partition}");
}

/// Extremes may have gone with a row.
fn only_the_number_of_rows(_: &mut Value, stats: &mut Value) {
    *stats = json!({ "numRecords": stats["numRecords"] });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_says_wrongly_of_a_file_is_named() {
    let damages = damages().await;
    for (change, told) in [
        (json!({ "maxValues": { "close": 1_000_000.5 } }), "maxValues.close is 1000000.5"),
        (json!({ "minValues": { "symbol": "B" } }), "minValues.symbol is \"B\""),
        (json!({ "minValues": { "ts": "2026-01-05T14:30:00.000001Z" } }), "minValues.ts is"),
        (json!({ "numRecords": 1 }), "numRecords is 1, the file has"),
        (json!({ "nullCount": { "close": 1 } }), "nullCount.close is 1, the file has 0"),
    ] {
        let (place, ticks, _) = damages.fresh();
        let (_, add) = ticks.newest_add();
        ticks.edit_add(|_, stats| {
            for (key, value) in change.as_object().unwrap() {
                match value.as_object() {
                    Some(columns) => columns.iter().for_each(|(name, value)| stats[key][name] = value.clone()),
                    None => stats[key] = value.clone(),
                }
            }
        });
        let (path, detail) = verify(&place, &[]).only("statistics-wrong", 1);
        assert_eq!(path, add["path"].as_str().unwrap());
        assert!(detail.contains(told), "{detail}");
    }

    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    ticks.edit_add(|add, _| add["partitionValues"] = json!({ "trade_date": "2026-02-01" }));
    let (path, detail) = verify(&place, &[]).only("partition-date-wrong", 1);
    assert_eq!(path, add["path"].as_str().unwrap());
    assert!(detail.contains("it is under 2026-02-01, its ts says 2026-01-0"), "{detail}");

    let (place, ticks, _) = damages.fresh();
    let (_, add) = ticks.newest_add();
    let mut actions = ticks.actions(ticks.newest());
    actions.retain(|action| !action["commitInfo"].is_null());
    actions.push(json!({ "add": add }));
    ticks.write(ticks.newest() + 1, &actions);
    let (path, _) = verify(&place, &[]).only("path-twice", 1);
    assert_eq!(path, add["path"].as_str().unwrap());

    let (place, _, letters) = damages.fresh();
    letters.rewrite(|rows| {
        let other = |payload: Option<&[u8]>| payload.map(|payload| vec![b'?'; payload.len()]);
        let payloads: BinaryArray = rows["payload"].as_binary::<i32>().iter().map(other).collect();
        with_column(&rows, "payload", Arc::new(payloads) as ArrayRef)
    });
    let (_, detail) = verify(&place, &[]).only("payload-hash-wrong", 1);
    assert!(detail.contains("payload_sha256"), "{detail}");

    let (place, _, letters) = damages.fresh();
    letters.rewrite(|rows| {
        let shorter = |payload: Option<&[u8]>| payload.map(|payload| payload[..payload.len() - 1].to_vec());
        let payloads: BinaryArray = rows["payload"].as_binary::<i32>().iter().map(shorter).collect();
        with_column(&rows, "payload", Arc::new(payloads) as ArrayRef)
    });
    verify(&place, &[]).only("payload-hash-wrong", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_named_and_checked_up_to_the_damage() {
    let damages = damages().await;
    let newest_log_file = |ticks: &TableFolder| format!("_delta_log/{:020}.json", ticks.newest());

    let (place, ticks, _) = damages.fresh();
    fs::write(ticks.commit(ticks.newest()), "").unwrap();
    let verified = verify(&place, &[]);
    assert_eq!(verified.only("commit-empty", 1).0, newest_log_file(&ticks));
    let checked = &verified.report["tables"][0];
    assert_eq!((&checked["table"], &checked["version"]), (&json!("ticks"), &json!(ticks.newest() - 1)));
    assert!(!verified.report["not_checked"].as_array().unwrap().is_empty());

    let (place, ticks, _) = damages.fresh();
    let bytes = fs::read(ticks.commit(ticks.newest())).unwrap();
    fs::write(ticks.commit(ticks.newest()), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(verify(&place, &[]).only("commit-torn", 1).0, newest_log_file(&ticks));

    let (place, ticks, _) = damages.fresh();
    let hole = ticks.checkpoint() + 1;
    assert!(hole < ticks.newest());
    fs::remove_file(ticks.commit(hole)).unwrap();
    let (file, detail) = verify(&place, &[]).only("log-hole", 1);
    assert_eq!(file, format!("_delta_log/{hole:020}.json"));
    assert!(detail.contains(&format!("version {hole} is missing")), "{detail}");

    // All commits are still there, so that the newest version can be checked in whole.
    let (place, ticks, _) = damages.fresh();
    let checkpoint = ticks.log().join(format!("{:020}.checkpoint.parquet", ticks.checkpoint()));
    let mut bytes = fs::read(&checkpoint).unwrap();
    let end = bytes.len();
    bytes[end - 40..end - 8].fill(0);
    fs::write(&checkpoint, &bytes).unwrap();
    let verified = verify(&place, &[]);
    verified.only("checkpoint-unreadable", 1);
    assert_eq!(verified.report["tables"][0]["version"], ticks.newest());

    let (place, ticks, _) = damages.fresh();
    fs::remove_file(ticks.log().join(format!("{:020}.checkpoint.parquet", ticks.checkpoint()))).unwrap();
    verify(&place, &[]).only("checkpoint-hint-wrong", 1);
    fs::remove_file(ticks.commit(0)).unwrap();
    let verified = verify(&place, &[]);
    assert_eq!(verified.code, Some(4));
    verified.first("log-without-beginning");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_disagree_are_named() {
    let damages = damages().await;
    let change = |ticks: &TableFolder, name: &str, by: i64| {
        ticks.edit(ticks.newest(), |action| {
            if let Some(value) = action.pointer_mut(&format!("/commitInfo/tickhouse/partitions/1/{name}")) {
                *value = json!(value.as_i64().unwrap() + by);
            }
        });
    };
    for (changes, what) in [
        (&[("holes", 1)][..], &["counters-unbalanced"][..]),
        (&[("rows", 1)], &["rows-missing"]),
        (&[("rows", -1)], &["rows-surplus"]),
        (&[("stored_offsets", 1), ("skipped", -1)], &["counters-unbalanced", "rows-missing"]),
        (&[("dead", 1), ("stored_offsets", -1)], &["dead-letters-missing", "rows-surplus"]),
        (&[("dead", -1), ("holes", 1)], &["dead-letters-surplus"]),
        (&[("next", 1), ("holes", 1)], &["counters-differ-from-transaction"]),
        // The last message is a dead letter, which may be ahead; the 49 before it are ticks, which may not.
        (&[("next", -1), ("dead", -1)], &["counters-differ-from-transaction"]),
        (
            &[("next", -50), ("dead", -1), ("rows", -49), ("stored_offsets", -49)],
            &["counters-differ-from-transaction", "offset-outside-counters"],
        ),
    ] {
        let (place, ticks, _) = damages.fresh();
        changes.iter().for_each(|(name, by)| change(&ticks, name, *by));
        let verified = verify(&place, &[]);
        let counts = verified.counts();
        let found: Vec<&str> = counts.keys().map(String::as_str).collect();
        assert_eq!(found, what, "{changes:?}: {:#}", verified.report);
        assert_eq!(verified.first(what[0]).0, "partition 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_see_what_an_independent_reader_sees() {
    let damages = damages().await;
    let contents = Contents::of(&damages.healthy).await;
    let verified = verify(&damages.healthy, &[]);
    let sum = |table: &str| {
        let files = |view: tickhouse::lake::TableView| view.files.iter().map(|file| file.bytes).sum::<u64>();
        match table {
            "ticks" => (contents.rows.len() as u64, files(contents.lake.ticks().unwrap())),
            _ => (contents.letters.len() as u64, files(contents.lake.dead_letters().unwrap())),
        }
    };
    for table in verified.report["tables"].as_array().unwrap() {
        let told = (table["rows"].as_u64().unwrap(), table["bytes"].as_u64().unwrap());
        assert_eq!(told, sum(table["table"].as_str().unwrap()));
    }
}
