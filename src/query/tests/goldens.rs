//! The named queries against `tests/sql/*.slt`, whose answers `tests/check/catalog_goldens.py` computes without SQL.
//!
//! A file holds `ticks` and their rows, then blocks of `query NAME param=value ..`, the columns, `----` and the rows.
//! Words of a row are parted by a space; `-` is NULL and `*` is anything.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};

use super::*;

const TOLERANCE: f64 = 1e-9;

fn optional(word: &str) -> Option<f64> {
    (word != "-").then(|| word.parse().unwrap())
}

fn tick(line: &str) -> Row {
    let words: Vec<&str> = line.split(' ').collect();
    let [symbol, ts, close, volume, open, high, low, partition, offset, index] = words[..] else {
        panic!("'{line}' has {} words", words.len());
    };
    Row {
        symbol: symbol.to_owned(),
        ts: DateTime::parse_from_rfc3339(ts).unwrap().timestamp_micros(),
        open: optional(open),
        high: optional(high),
        low: optional(low),
        close: close.parse().unwrap(),
        volume: optional(volume),
        partition: partition.parse().unwrap(),
        offset: offset.parse().unwrap(),
        index: index.parse().unwrap(),
    }
}

fn word(batch: &RecordBatch, name: &str, row: usize) -> String {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("there is no column {name}"));
    if column.is_null(row) {
        return "-".to_owned();
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let time = DateTime::from_timestamp_micros(column.as_primitive::<TimestampMicrosecondType>().value(row));
            time.unwrap().to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }
        DataType::Date32 => column.as_primitive::<Date32Type>().value_as_date(row).unwrap().to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        other => panic!("{name} is of type {other}"),
    }
}

fn equal(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) => (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-3),
        _ => found == expected || expected == "*",
    }
}

async fn check(view: &TableView, block: &str) {
    let mut lines = block.lines();
    let asked = lines.next().unwrap();
    let mut words = asked.strip_prefix("query ").unwrap_or_else(|| panic!("'{asked}' is no query")).split(' ');
    let name = words.next().unwrap();
    let params: Vec<(&str, &str)> = words.map(|word| word.split_once('=').unwrap()).collect();
    let columns: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_eq!(lines.next(), Some("----"), "{asked}");
    let expected: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    let batch = rows_of(view, &named(name, &params)).await;
    assert_eq!(batch.num_columns(), columns.len(), "{asked}");
    assert_eq!(batch.num_rows(), expected.len(), "{asked}");
    for (row, expected) in expected.iter().enumerate() {
        let found: Vec<String> = columns.iter().map(|column| word(&batch, column, row)).collect();
        let all = found.len() == expected.len() && found.iter().zip(expected).all(|(have, want)| equal(have, want));
        assert!(all, "{asked}, row {row}:\n  found {}\n  expected {}", found.join(" "), expected.join(" "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn named_queries_answer_what_was_computed_without_sql() {
    let text = include_str!("../../../tests/sql/catalog.slt");
    let text = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let mut blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let ticks: Vec<Row> = blocks.next().unwrap().strip_prefix("ticks\n").unwrap().lines().map(tick).collect();
    let view = table_of(PartitionBy::Day, &[ticks[..20].to_vec(), ticks[20..].to_vec()]).await;
    let mut asked = Vec::new();
    for block in blocks {
        check(&view, block).await;
        asked.push(block.split(' ').nth(1).unwrap().lines().next().unwrap());
    }
    for (name, _) in NamedQueries::load(None).unwrap().iter() {
        assert!(asked.contains(&name), "no answers for {name}");
    }
}
