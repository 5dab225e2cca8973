//! Checks the rows of one file, batch by batch.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::finding::FindingKind;
use super::statistics::{Extremes, Statistics};
use crate::decode::KEPT_BYTES_OF_TOO_LARGE;
use crate::lake::LoggedFile;
use crate::market::{MarketZone, PartitionBy, date_text, is_plausible_kafka_ts};

const DAY_MICROS: i64 = 86_400_000_000;

/// How to derive the partition value of a row.
#[derive(Debug, Clone)]
pub(super) enum DateRule {
    /// Date of `ts` in the market's zone.
    Trade(MarketZone, PartitionBy),
    /// UTC date of `ingested_at`.
    Ingest,
}

/// Rules that apply to all files of a table.
#[derive(Debug, Clone)]
pub(super) struct TableRules {
    pub table: &'static str,
    /// All columns, with the partition column at the end.
    pub schema: SchemaRef,
    /// `None` if the market zone is unknown.
    pub date: Option<DateRule>,
    /// Whether rows have a unique identity.
    pub has_identity: bool,
    /// Whether rows contain a payload and its hash.
    pub has_payload: bool,
}

/// Identities of the rows of a batch.
#[derive(Debug, Clone)]
pub(super) struct IdentityBatch {
    pub file: Arc<Path>,
    pub epoch: Int32Array,
    pub partition: Int32Array,
    pub offset: Int64Array,
    pub index: Int32Array,
}

/// Rows of a file that have the same problem.
#[derive(Debug, Default)]
struct WrongRows {
    count: u64,
    /// Partition and offset of the first such row.
    first: Option<(i32, i64)>,
    detail: String,
}

impl WrongRows {
    fn add(&mut self, at: Option<(i32, i64)>, detail: impl FnOnce() -> String) {
        if self.count == 0 {
            (self.first, self.detail) = (at, detail());
        }
        self.count += 1;
    }

    fn describe(&self) -> String {
        let first = self.first.map(|(partition, offset)| format!(" (partition {partition}, offset {offset})"));
        let Self { count, detail, .. } = self;
        format!("{count} rows; the first{}: {detail}", first.unwrap_or_default())
    }
}

/// State of the check of one file.
pub(super) struct FileRows {
    rules: TableRules,
    file: Arc<Path>,
    partition_value: Option<i32>,
    statistics: Result<Statistics, String>,
    extremes: Extremes,
    nulls: Vec<(String, u64)>,
    lacking: Vec<String>,
    dates: WrongRows,
    kafka_times: WrongRows,
    payloads: WrongRows,
}

impl FileRows {
    pub(super) fn new(rules: &TableRules, file: &LoggedFile) -> Self {
        let statistics = match &file.stats {
            None => Err("the log has no statistics of it".to_owned()),
            Some(text) => serde_json::from_str(text).map_err(|error| format!("can't be read: {error}")),
        };
        Self {
            rules: rules.clone(),
            file: Arc::new(file.path.clone()),
            partition_value: file.partition_value,
            extremes: statistics.as_ref().map(Extremes::of).unwrap_or_default(),
            statistics,
            nulls: Vec::new(),
            lacking: Vec::new(),
            dates: WrongRows::default(),
            kafka_times: WrongRows::default(),
            payloads: WrongRows::default(),
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.extremes.rows()
    }

    /// Returns the nullable columns of the table that the file lacks.
    pub(super) fn lacking(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lacking)
    }

    /// Describes differences between the columns of the file and those of the table.
    pub(super) fn compare_columns(&mut self, file: &SchemaRef) -> Vec<String> {
        let lacking = &mut self.lacking;
        let data = &self.rules.schema.fields()[..self.rules.schema.fields().len() - 1];
        let wrong = data.iter().filter_map(|field| {
            let name = field.name();
            match file.field_with_name(name) {
                // The names of the fields inside of lists depend on the writer.
                Ok(found) if field.data_type().is_nested() || found.data_type() == field.data_type() => None,
                Ok(found) => Some(format!("{name} is {}, the table has {}", found.data_type(), field.data_type())),
                // The file was written before the column was added.
                Err(_) if field.is_nullable() => {
                    lacking.push(name.clone());
                    None
                }
                Err(_) => Some(format!("there is no {name}")),
            }
        });
        wrong.collect()
    }

    /// Checks a batch, which has the columns of the table.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Option<IdentityBatch> {
        self.extremes.add(batch);
        for field in self.rules.schema.fields().iter().filter(|field| !field.is_nullable()) {
            let nulls = batch.column_by_name(field.name()).map_or(0, |column| column.null_count() as u64);
            if nulls > 0 {
                match self.nulls.iter_mut().find(|(name, _)| name == field.name()) {
                    Some((_, count)) => *count += nulls,
                    None => self.nulls.push((field.name().clone(), nulls)),
                }
            }
        }
        let identity = self.rules.has_identity.then(|| identity(&self.file, batch)).flatten();
        self.check_dates(batch);
        self.check_kafka_times(batch);
        if self.rules.has_payload {
            self.check_payloads(batch);
        }
        identity
    }

    fn check_dates(&mut self, batch: &RecordBatch) {
        let times = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>().cloned();
        let at = |row| position_of(batch, row);
        match &mut self.rules.date {
            None => {}
            Some(DateRule::Ingest) => {
                let Some(times) = times("ingested_at") else { return };
                for (row, micros) in times.values().iter().enumerate() {
                    let actual = micros.div_euclid(DAY_MICROS) as i32;
                    if Some(actual) != self.partition_value {
                        self.dates.add(at(row), || wrong_date(self.partition_value, actual, "ingested_at"));
                    }
                }
            }
            Some(DateRule::Trade(zone, by)) => {
                let Some(times) = times("ts") else { return };
                let stored = batch.column_by_name(PartitionBy::Day.column());
                let stored = stored.and_then(|column| column.as_primitive_opt::<Date32Type>());
                for (row, micros) in times.values().iter().enumerate() {
                    let date = zone.trade_date(*micros);
                    let actual = by.value(date);
                    if Some(actual) != self.partition_value {
                        self.dates.add(at(row), || wrong_date(self.partition_value, actual, "ts"));
                    } else if let Some(stored) = stored.filter(|stored| stored.value(row) != date) {
                        self.dates.add(at(row), || wrong_date(Some(stored.value(row)), date, "ts"));
                    }
                }
            }
        }
    }

    fn check_kafka_times(&mut self, batch: &RecordBatch) {
        let column = batch.column_by_name("kafka_ts");
        let Some(times) = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()) else {
            return;
        };
        for (row, micros) in times.iter().enumerate() {
            if let Some(micros) = micros.filter(|micros| !is_plausible_kafka_ts(*micros)) {
                let detail = || format!("kafka_ts is {micros} microseconds, outside of 1990 to 2261");
                self.kafka_times.add(position_of(batch, row), detail);
            }
        }
    }

    /// Checks the payload hashes. The hash is that of the complete message, even if only the beginning of a large
    /// message was stored.
    fn check_payloads(&mut self, batch: &RecordBatch) {
        let column = |name: &str| batch.column_by_name(name);
        let (Some(payloads), Some(sizes), Some(hashes)) = (
            column("payload").and_then(|column| column.as_binary_opt::<i32>()),
            column("payload_bytes").and_then(|column| column.as_primitive_opt::<Int64Type>()),
            column("payload_sha256").and_then(|column| column.as_string_opt::<i32>()),
        ) else {
            return;
        };
        for row in 0..batch.num_rows() {
            let (payload, size) = (payloads.value(row), sizes.value(row));
            let is_cut = payload.len() == KEPT_BYTES_OF_TOO_LARGE && size > KEPT_BYTES_OF_TOO_LARGE as i64;
            let is_complete = payload.len() as i64 == size && hex(&Sha256::digest(payload)) == hashes.value(row);
            if !is_cut && !is_complete {
                let length = payload.len();
                let detail = || format!("{length} bytes that payload_sha256 or payload_bytes ({size}) don't fit");
                self.payloads.add(position_of(batch, row), detail);
            }
        }
    }

    /// Whether the statistics have times truncated to milliseconds.
    pub(super) fn has_cut_times(&self) -> bool {
        self.statistics.as_ref().is_ok_and(|statistics| self.extremes.has_cut_times(statistics))
    }

    /// Returns the findings of the file, once all batches were added.
    pub(super) fn finish(self) -> Vec<(FindingKind, String)> {
        let mut wrong = Vec::new();
        match &self.statistics {
            Err(problem) => wrong.push((FindingKind::Statistics, problem.clone())),
            Ok(statistics) => {
                let differences = self.extremes.differences(statistics);
                if !differences.is_empty() {
                    wrong.push((FindingKind::Statistics, differences.join("; ")));
                }
            }
        }
        let nulls =
            self.nulls.iter().map(|(name, count)| (FindingKind::Column, format!("{name} is NULL in {count} rows")));
        wrong.extend(nulls);
        for (what, rows) in [
            (FindingKind::PartitionDate, &self.dates),
            (FindingKind::KafkaTimestamp, &self.kafka_times),
            (FindingKind::PayloadHash, &self.payloads),
        ] {
            if rows.count > 0 {
                wrong.push((what, rows.describe()));
            }
        }
        wrong
    }
}

fn identity(file: &Arc<Path>, batch: &RecordBatch) -> Option<IdentityBatch> {
    let int = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>().cloned();
    Some(IdentityBatch {
        file: Arc::clone(file),
        epoch: int("kafka_epoch")?,
        partition: int("kafka_partition")?,
        offset: batch.column_by_name("kafka_offset")?.as_primitive_opt::<Int64Type>()?.clone(),
        index: int("kafka_index")?,
    })
}

fn position_of(batch: &RecordBatch, row: usize) -> Option<(i32, i64)> {
    let partition = batch.column_by_name("kafka_partition")?.as_primitive_opt::<Int32Type>()?.value(row);
    Some((partition, batch.column_by_name("kafka_offset")?.as_primitive_opt::<Int64Type>()?.value(row)))
}

fn wrong_date(stored: Option<i32>, actual: i32, column: &str) -> String {
    let shown = |days: i32| date_text(days).unwrap_or_else(|| format!("day {days}"));
    let stored = stored.map_or_else(|| "no date".to_owned(), shown);
    format!("it is under {stored}, its {column} says {}", shown(actual))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all text");
    }
    text
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn rows_with_times_that_no_clock_shows_are_counted_and_the_first_is_named() {
        let times =
            TimestampMicrosecondArray::from(vec![Some(1_795_185_000_000_000), None, Some(5_000), Some(i64::MAX)]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("kafka_partition", Arc::new(Int32Array::from(vec![3; 4])) as ArrayRef, false),
            ("kafka_offset", Arc::new(Int64Array::from(vec![10, 11, 12, 13])), false),
            ("kafka_ts", Arc::new(times.with_timezone("UTC")), true),
        ])
        .unwrap();
        let rules =
            TableRules { table: "ticks", schema: batch.schema(), date: None, has_identity: false, has_payload: false };
        let file =
            LoggedFile { path: Path::from("a.parquet"), bytes: 1, partition_value: None, stats: None, writer: None };
        let mut rows = FileRows::new(&rules, &file);
        rows.add(&batch);
        let wrong = rows.finish();
        let (_, text) = wrong.iter().find(|(what, _)| *what == FindingKind::KafkaTimestamp).unwrap();
        assert_eq!(
            text,
            "2 rows; the first (partition 3, offset 12): kafka_ts is 5000 microseconds, outside of 1990 to 2261"
        );
    }
}
