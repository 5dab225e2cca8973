//! Encodes a batch as sorted Parquet files, one per partition value. CPU only; runs concurrently with the consumer.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;

use crate::ingest::batching::batch::{IngestBatch, IngestChunk};
use crate::ingest::flushing::gather::{GatheredRows, RowRef, RowRun, SymbolNames, sort_rows};
use crate::ingest::flushing::statistics::ColumnStats;
use crate::lake::{NewFile, new_data_path, ticks_properties, ticks_schema};
use crate::market::{ExtraSpec, PartitionBy};

/// Rows of one record batch, fewer if they are large; bounds the memory in addition to that of the chunks.
const GATHER_ROWS: usize = 16 * 1024;
const GATHER_BYTES: usize = 8 << 20;

/// An encoded file that is ready for the store.
pub struct EncodedFile {
    pub file: NewFile,
    pub bytes: Vec<u8>,
}

/// The schema and the properties of all files of `ticks`.
#[derive(Debug, Clone)]
pub struct TickEncoder {
    epoch: i32,
    partition_by: PartitionBy,
    /// The columns of a file: without the partition column, except for `trade_date` if the table is partitioned by
    /// month or year.
    schema: SchemaRef,
    properties: WriterProperties,
}

impl TickEncoder {
    pub fn new(epoch: i32, partition_by: PartitionBy, extras: &[(String, ExtraSpec)]) -> Self {
        let table = ticks_schema(partition_by, extras);
        let in_file = |field: &&FieldRef| field.name() != partition_by.column();
        let fields: Vec<_> = table.fields().iter().filter(in_file).map(as_encoded).collect();
        Self { epoch, partition_by, schema: Arc::new(Schema::new(fields)), properties: ticks_properties() }
    }

    pub(in crate::ingest) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Returns the encoder for rows of another epoch of the topic.
    #[must_use]
    pub fn with_epoch(&self, epoch: i32) -> Self {
        Self { epoch, ..self.clone() }
    }

    /// # Errors
    /// Parquet rejects a value, which no decoded batch should cause.
    pub fn encode(&self, batch: &IngestBatch) -> Result<Vec<EncodedFile>, parquet::errors::ParquetError> {
        let chunks: Vec<&IngestChunk> = batch.chunks().filter(|chunk| !chunk.rows.is_empty()).collect();
        let names = SymbolNames::of(&chunks);
        let row_bytes = batch.bytes() / batch.rows().max(1);
        let at_once = (GATHER_BYTES / row_bytes.max(1)).clamp(1, GATHER_ROWS);
        let mut files = Vec::new();
        for (value, rows) in self.sorted(&chunks, &names) {
            files.push(self.encode_file(&chunks, &names, value, rows.chunks(at_once), rows.len())?);
        }
        Ok(files)
    }

    /// Rows of each partition value in the order (symbol, ts, partition, offset, index).
    fn sorted(&self, chunks: &[&IngestChunk], names: &SymbolNames) -> Vec<(i32, Vec<RowRef>)> {
        let mut by_value: BTreeMap<i32, Vec<RowRun>> = BTreeMap::new();
        for (chunk, at) in chunks.iter().zip(0..) {
            let mut row = 0;
            for same in chunk.rows.trade_date.chunk_by(|one, next| one == next) {
                let next = row + same.len() as u32;
                by_value.entry(self.partition_by.value(same[0])).or_default().push((at, row..next));
                row = next;
            }
        }
        by_value.into_iter().map(|(value, runs)| (value, sort_rows(chunks, names, &runs))).collect()
    }

    fn encode_file(
        &self,
        chunks: &[&IngestChunk],
        names: &SymbolNames,
        value: i32,
        slices: std::slice::Chunks<'_, RowRef>,
        rows: usize,
    ) -> Result<EncodedFile, parquet::errors::ParquetError> {
        let options = ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&self.schema), options)?;
        let mut stats = ColumnStats::default();
        for slice in slices {
            let gather = GatheredRows { chunks, rows: slice };
            stats.add(&gather, names);
            writer.write(&self.record_batch(&gather, names)?)?;
        }
        let bytes = writer.into_inner()?;
        let file = NewFile {
            path: new_data_path(self.partition_by.column(), value)?,
            bytes: bytes.len() as i64,
            rows: rows as i64,
            partition_value: value,
            stats: stats.to_json(rows),
            made: Utc::now(),
        };
        Ok(EncodedFile { file, bytes })
    }

    fn record_batch(
        &self,
        gather: &GatheredRows<'_>,
        names: &SymbolNames,
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut extra = 0;
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "symbol" => gather.symbols(names),
                "ts" => gather.timestamps(|chunk, row| Some(chunk.rows.ts[row])),
                "open" => gather.doubles(|chunk, row| chunk.rows.open[row]),
                "high" => gather.doubles(|chunk, row| chunk.rows.high[row]),
                "low" => gather.doubles(|chunk, row| chunk.rows.low[row]),
                "close" => gather.doubles(|chunk, row| chunk.rows.close[row]),
                "volume" => gather.doubles(|chunk, row| chunk.rows.volume[row]),
                "trade_id" => gather.strings(|chunk, row| chunk.rows.trade_id.get(row)),
                "source" => gather.strings(|chunk, row| chunk.rows.source.get(row)),
                "kafka_epoch" => gather.ints(|_, _| self.epoch),
                "kafka_partition" => gather.ints(|chunk, _| chunk.partition),
                "kafka_offset" => gather.bigints(|chunk, row| chunk.rows.offset[row]),
                "kafka_index" => gather.ints(|chunk, row| chunk.rows.index[row]),
                "kafka_ts" => gather.timestamps(|chunk, row| {
                    let millis = chunk.rows.kafka_ts[row];
                    (millis != i64::MIN).then(|| millis.saturating_mul(1_000))
                }),
                "ingested_at" => gather.timestamps(|chunk, _| Some(chunk.received_at)),
                "trade_date" => gather.dates(|chunk, row| chunk.rows.trade_date[row]),
                _ => {
                    extra += 1;
                    gather.extra(extra - 1)
                }
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// The symbol is a dictionary: Parquet stores it as one anyway, and nothing is spelled out per row.
fn as_encoded(field: &FieldRef) -> FieldRef {
    if field.name() != "symbol" {
        return Arc::clone(field);
    }
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(field.as_ref().clone().with_data_type(dictionary))
}
