//! Reads the dead letters of one Parquet file in batches.

use arrow::array::{
    Array, AsArray, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use sha2::{Digest, Sha256};

use super::dead_letter_key::{DeadLetterKey, KEY_COLUMNS};
use super::error::DeadLetterReplayError;
use super::offset_set::MessageIdentity;
use crate::decode::KEPT_BYTES_OF_TOO_LARGE;
use crate::lake::{DataFile, StoredFile, TableView};

/// Bounds memory: a payload has up to 1 MiB by default.
const DEAD_LETTERS_AT_ONCE: usize = 64;
const KEYS_AT_ONCE: usize = 8_192;
const MICROS_IN_MILLI: i64 = 1_000;

pub(super) struct DeadLetterFile {
    name: String,
    stored: StoredFile,
    batches: ParquetRecordBatchStream<StoredFile>,
}

impl DeadLetterFile {
    /// Reads all columns.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) async fn open(view: &TableView, file: &DataFile) -> Result<Self, DeadLetterReplayError> {
        Self::read(view, file, None, DEAD_LETTERS_AT_ONCE).await
    }

    /// # Errors
    /// The file can't be read.
    pub(super) async fn of_columns(
        view: &TableView,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Self, DeadLetterReplayError> {
        Self::read(view, file, Some(columns), KEYS_AT_ONCE).await
    }

    async fn read(
        view: &TableView,
        file: &DataFile,
        columns: Option<&[&str]>,
        at_once: usize,
    ) -> Result<Self, DeadLetterReplayError> {
        let (stored, name) = (view.stored(file), file.path.to_string());
        let failed = |error| DeadLetterReplayError::of_file(&name, stored.error(error));
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
    /// The file can't be read, or it lacks a column of `dead_letters`.
    pub(super) async fn next(&mut self) -> Result<Option<DeadLetterRows>, DeadLetterReplayError> {
        let read = self.batches.try_next().await;
        let batch = read.map_err(|error| DeadLetterReplayError::of_file(&self.name, self.stored.error(error)))?;
        let rows = batch.map(|batch| DeadLetterRows::of(&batch)).transpose();
        rows.map_err(|column| {
            let detail = format!("it has no column {column}, or one of another type");
            DeadLetterReplayError::File { file: self.name.clone(), detail }
        })
    }
}

/// A batch of rows of `dead_letters`.
pub(super) struct DeadLetterRows {
    epochs: Int32Array,
    partitions: Int32Array,
    offsets: Int64Array,
    reasons: StringArray,
    ingested_at: TimestampMicrosecondArray,
    messages: Option<MessageColumns>,
}

struct MessageColumns {
    kafka_ts: TimestampMicrosecondArray,
    keys: BinaryArray,
    payloads: BinaryArray,
    payload_bytes: Int64Array,
    hashes: StringArray,
    headers: ListArray,
}

impl DeadLetterRows {
    /// # Errors
    /// The name of a column that is missing or of another type.
    fn of(batch: &RecordBatch) -> Result<Self, &'static str> {
        let int = |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<Int32Type>().cloned();
        let long = |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>().cloned();
        let time =
            |name: &'static str| batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>().cloned();
        let text = |name: &'static str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
        let bytes = |name: &'static str| batch.column_by_name(name)?.as_binary_opt::<i32>().cloned();
        let list = |name: &'static str| batch.column_by_name(name)?.as_list_opt::<i32>().cloned();
        let messages = match batch.num_columns() > KEY_COLUMNS.len() {
            false => None,
            true => Some(MessageColumns {
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

    fn identity(&self, row: usize) -> MessageIdentity {
        (self.epochs.value(row), self.partitions.value(row), self.offsets.value(row))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = DeadLetterKey<'_>> {
        (0..self.reasons.len()).map(|row| DeadLetterKey {
            identity: self.identity(row),
            reason: self.reasons.value(row),
            ingested_at: self.ingested_at.value(row),
        })
    }

    /// The dead letters that `is_wanted` accepts; none if only the key columns were read.
    pub(super) fn dead_letters(
        &self,
        mut is_wanted: impl FnMut(MessageIdentity) -> bool,
    ) -> impl Iterator<Item = StoredDeadLetter<'_>> {
        let messages = self.messages.as_ref();
        let rows = (0..self.reasons.len()).filter(move |row| is_wanted(self.identity(*row)));
        rows.filter_map(move |row| {
            let MessageColumns { kafka_ts, keys, payloads, payload_bytes, hashes, headers } = messages?;
            Some(StoredDeadLetter {
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

/// The column is a list of (name, value) pairs, NULL if the message had no headers.
fn headers_of(headers: &ListArray, row: usize) -> Vec<(&str, Option<&[u8]>)> {
    let pairs = headers.values().as_struct_opt().filter(|pairs| pairs.num_columns() == 2);
    let Some(pairs) = pairs.filter(|_| headers.is_valid(row)) else { return Vec::new() };
    let (names, values) = (pairs.column(0).as_string_opt::<i32>(), pairs.column(1).as_binary_opt::<i32>());
    let (Some(names), Some(values)) = (names, values) else { return Vec::new() };
    let range = headers.value_offsets()[row] as usize..headers.value_offsets()[row + 1] as usize;
    range.map(|at| (names.value(at), values.is_valid(at).then(|| values.value(at)))).collect()
}

/// A row of `dead_letters`, borrowed from its batch.
pub(super) struct StoredDeadLetter<'a> {
    pub identity: MessageIdentity,
    pub reason: &'a str,
    /// Milliseconds since the epoch.
    pub kafka_ts: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// Length of the original payload; longer than `payload` if only its beginning was kept.
    pub payload_bytes: i64,
    pub sha256: &'a str,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl StoredDeadLetter<'_> {
    /// Returns true if only the beginning of the payload was kept.
    pub(super) fn is_truncated(&self) -> bool {
        self.payload.len() == KEPT_BYTES_OF_TOO_LARGE && (KEPT_BYTES_OF_TOO_LARGE as i64) < self.payload_bytes
    }

    /// # Errors
    /// The payload doesn't match its hash.
    pub(super) fn verify_hash(&self) -> Result<(), DeadLetterReplayError> {
        let hash = Sha256::digest(self.payload);
        let stored = (0..hash.len()).map(|at| self.sha256.get(at * 2..at * 2 + 2));
        let is_same = self.sha256.len() == hash.len() * 2
            && stored.zip(hash).all(|(text, byte)| text.is_some_and(|text| u8::from_str_radix(text, 16) == Ok(byte)));
        let (_, partition, offset) = self.identity;
        if is_same { Ok(()) } else { Err(DeadLetterReplayError::Payload { partition, offset }) }
    }
}
