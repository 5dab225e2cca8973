//! Dead letters of one file, some at a time.

use arrow::array::{
    Array, AsArray, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use sha2::{Digest, Sha256};

use super::error::ReplayError;
use super::mark::{MARKS, Mark};
use super::offsets::Identity;
use crate::decode::TOO_LARGE_KEPT;
use crate::lake::{DataFile, StoredFile, TableView};

/// A payload has up to 1 MiB by default.
const LETTERS_AT_ONCE: usize = 64;
const MARKS_AT_ONCE: usize = 8_192;
const MICROS_IN_MILLI: i64 = 1_000;

pub(super) struct Letters {
    name: String,
    stored: StoredFile,
    batches: ParquetRecordBatchStream<StoredFile>,
}

impl Letters {
    /// Whole letters.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) async fn open(view: &TableView, file: &DataFile) -> Result<Self, ReplayError> {
        Self::read(view, file, None, LETTERS_AT_ONCE).await
    }

    /// # Errors
    /// The file can't be read.
    pub(super) async fn of_columns(view: &TableView, file: &DataFile, columns: &[&str]) -> Result<Self, ReplayError> {
        Self::read(view, file, Some(columns), MARKS_AT_ONCE).await
    }

    async fn read(
        view: &TableView,
        file: &DataFile,
        columns: Option<&[&str]>,
        at_once: usize,
    ) -> Result<Self, ReplayError> {
        let (stored, name) = (view.stored(file), file.path.to_string());
        let failed = |error| ReplayError::of_file(&name, stored.error(error));
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchStreamBuilder::new_with_options(stored.clone(), options);
        let builder = builder.await.map_err(failed)?;
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let batches = builder.with_projection(mask).with_batch_size(at_once).build().map_err(failed)?;
        Ok(Self { name, stored, batches })
    }

    /// # Errors
    /// The file can't be read, or is none of dead letters.
    pub(super) async fn next(&mut self) -> Result<Option<LetterRows>, ReplayError> {
        let read = self.batches.try_next().await;
        let batch = read.map_err(|error| ReplayError::of_file(&self.name, self.stored.error(error)))?;
        let rows = batch.map(|batch| LetterRows::of(&batch)).transpose();
        rows.map_err(|column| {
            let detail = format!("it has no column {column}, or one of another type");
            ReplayError::File { file: self.name.clone(), detail }
        })
    }
}

/// Rows of `dead_letters`.
pub(super) struct LetterRows {
    epochs: Int32Array,
    partitions: Int32Array,
    offsets: Int64Array,
    reasons: StringArray,
    ingested_at: TimestampMicrosecondArray,
    messages: Option<Messages>,
}

struct Messages {
    kafka_ts: TimestampMicrosecondArray,
    keys: BinaryArray,
    payloads: BinaryArray,
    payload_bytes: Int64Array,
    hashes: StringArray,
    headers: ListArray,
}

impl LetterRows {
    /// The column that is missing otherwise.
    fn of(batch: &RecordBatch) -> Result<Self, &'static str> {
        let int = |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>().cloned();
        let long = |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>().cloned();
        let time =
            |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>().cloned();
        let text = |name: &'static str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
        let bytes = |name: &'static str| batch.column_by_name(name)?.as_binary_opt::<i32>().cloned();
        let list = |name: &'static str| batch.column_by_name(name)?.as_list_opt::<i32>().cloned();
        let messages = match batch.num_columns() > MARKS.len() {
            false => None,
            true => Some(Messages {
                kafka_ts: time("kafka_ts").ok_or("kafka_ts")?,
                keys: bytes("key").ok_or("key")?,
                payloads: bytes("payload").ok_or("payload")?,
                payload_bytes: long("payload_bytes").ok_or("payload_bytes")?,
                hashes: text("payload_sha256").ok_or("payload_sha256")?,
                headers: list("headers").ok_or("headers")?,
            }),
        };
        Ok(Self {
            epochs: int("kafka_epoch").ok_or("kafka_epoch")?,
            partitions: int("kafka_partition").ok_or("kafka_partition")?,
            offsets: long("kafka_offset").ok_or("kafka_offset")?,
            reasons: text("reason").ok_or("reason")?,
            ingested_at: time("ingested_at").ok_or("ingested_at")?,
            messages,
        })
    }

    fn identity(&self, row: usize) -> Identity {
        (self.epochs.value(row), self.partitions.value(row), self.offsets.value(row))
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = Mark<'_>> {
        (0..self.reasons.len()).map(|row| Mark {
            identity: self.identity(row),
            reason: self.reasons.value(row),
            ingested_at: self.ingested_at.value(row),
        })
    }

    /// The letters that `is_wanted` takes; none where only marks were read.
    pub(super) fn letters(&self, mut is_wanted: impl FnMut(Identity) -> bool) -> impl Iterator<Item = Letter<'_>> {
        let messages = self.messages.as_ref();
        let rows = (0..self.reasons.len()).filter(move |row| is_wanted(self.identity(*row)));
        rows.filter_map(move |row| {
            let Messages { kafka_ts, keys, payloads, payload_bytes, hashes, headers } = messages?;
            Some(Letter {
                identity: self.identity(row),
                reason: self.reasons.value(row),
                kafka_ts: kafka_ts.is_valid(row).then(|| kafka_ts.value(row).div_euclid(MICROS_IN_MILLI)),
                key: keys.is_valid(row).then(|| keys.value(row)),
                payload: payloads.value(row),
                payload_bytes: payload_bytes.value(row),
                sha256: hashes.value(row),
                headers: headers_of(headers, row),
            })
        })
    }
}

/// A list of (name, value) pairs, NULL where a message had none.
fn headers_of(headers: &ListArray, row: usize) -> Vec<(&str, Option<&[u8]>)> {
    let pairs = headers.values().as_struct_opt().filter(|pairs| pairs.num_columns() == 2);
    let Some(pairs) = pairs.filter(|_| headers.is_valid(row)) else { return Vec::new() };
    let (names, values) = (pairs.column(0).as_string_opt::<i32>(), pairs.column(1).as_binary_opt::<i32>());
    let (Some(names), Some(values)) = (names, values) else { return Vec::new() };
    let range = headers.value_offsets()[row] as usize..headers.value_offsets()[row + 1] as usize;
    range.map(|at| (names.value(at), values.is_valid(at).then(|| values.value(at)))).collect()
}

/// A message that was no tick.
pub(super) struct Letter<'a> {
    pub identity: Identity,
    pub reason: &'a str,
    /// Milliseconds since the epoch.
    pub kafka_ts: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// Of the message; more than `payload` has where it was too large.
    pub payload_bytes: i64,
    pub sha256: &'a str,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl Letter<'_> {
    /// Only the beginning of the message was kept.
    pub(super) fn is_cut(&self) -> bool {
        self.payload.len() == TOO_LARGE_KEPT && (TOO_LARGE_KEPT as i64) < self.payload_bytes
    }

    /// # Errors
    /// The payload is not the one that was stored.
    pub(super) fn require_whole(&self) -> Result<(), ReplayError> {
        let hash = Sha256::digest(self.payload);
        let told = (0..hash.len()).map(|at| self.sha256.get(at * 2..at * 2 + 2));
        let is_same = self.sha256.len() == hash.len() * 2
            && told.zip(hash).all(|(text, byte)| text.is_some_and(|text| u8::from_str_radix(text, 16) == Ok(byte)));
        let (_, partition, offset) = self.identity;
        if is_same { Ok(()) } else { Err(ReplayError::Payload { partition, offset }) }
    }
}
