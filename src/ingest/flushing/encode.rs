//! A batch -> sorted Parquet files, one per partition value. CPU only; runs beside the consumer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, FieldRef, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use hashbrown::HashMap;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;

use crate::ingest::batching::batch::{Batch, Chunk};
use crate::ingest::flushing::statistics::ColumnStats;
use crate::lake::{NewFile, new_data_path, ticks_properties, ticks_schema};
use crate::market::{ExtraColumn, ExtraSpec, PartitionBy};

/// Rows gathered at once, fewer where they are large; bounds what lives in addition to the chunks.
const GATHER_ROWS: usize = 16 * 1024;
const GATHER_BYTES: usize = 8 << 20;

/// A file that is ready for the store.
pub struct EncodedFile {
    pub file: NewFile,
    pub bytes: Vec<u8>,
}

/// Everything that is the same for all files of `ticks`.
#[derive(Debug, Clone)]
pub struct TickEncoder {
    epoch: i32,
    partition_by: PartitionBy,
    /// Without the partition column unless rows need it (`trade_date` under month and year).
    schema: SchemaRef,
    properties: WriterProperties,
}

/// Where a row is: chunk and row in it.
type RowRef = (u32, u32);

/// Consecutive rows of a chunk.
type Run = (u32, Range<u32>);

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

    /// The same for rows of another incarnation of the topic.
    #[must_use]
    pub fn with_epoch(&self, epoch: i32) -> Self {
        Self { epoch, ..self.clone() }
    }

    /// # Errors
    /// Parquet refuses a value; nothing in a decoded batch should make it do so.
    pub fn encode(&self, batch: &Batch) -> Result<Vec<EncodedFile>, parquet::errors::ParquetError> {
        let chunks: Vec<&Chunk> = batch.chunks().filter(|chunk| !chunk.rows.is_empty()).collect();
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
    fn sorted(&self, chunks: &[&Chunk], names: &SymbolNames) -> Vec<(i32, Vec<RowRef>)> {
        let mut by_value: BTreeMap<i32, Vec<Run>> = BTreeMap::new();
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
        chunks: &[&Chunk],
        names: &SymbolNames,
        value: i32,
        slices: std::slice::Chunks<'_, RowRef>,
        rows: usize,
    ) -> Result<EncodedFile, parquet::errors::ParquetError> {
        let options = ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&self.schema), options)?;
        let mut stats = ColumnStats::default();
        for slice in slices {
            let gather = Gather { chunks, rows: slice };
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

    fn record_batch(&self, gather: &Gather<'_>, names: &SymbolNames) -> Result<RecordBatch, arrow::error::ArrowError> {
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

/// Distinct symbols of a batch's chunks in order, and each chunk's own numbers translated to that order. Some have
/// no row here: reused columns bring the symbols of their earlier rows along.
pub(in crate::ingest) struct SymbolNames {
    sorted: StringArray,
    /// Per chunk: local number -> place in `sorted`.
    ranks: Vec<Vec<u32>>,
}

impl SymbolNames {
    fn of(chunks: &[&Chunk]) -> Self {
        let mut places: HashMap<&str, u32> =
            chunks.iter().flat_map(|chunk| chunk.rows.symbols.iter().map(|name| (name.as_ref(), 0))).collect();
        let mut names: Vec<&str> = places.keys().copied().collect();
        names.sort_unstable();
        for (name, place) in names.iter().zip(0..) {
            places.insert(name, place);
        }
        let ranks =
            chunks.iter().map(|chunk| chunk.rows.symbols.iter().map(|name| places[name.as_ref()]).collect()).collect();
        Self { sorted: StringArray::from_iter_values(names), ranks }
    }

    pub(in crate::ingest) fn name(&self, rank: u32) -> &str {
        self.sorted.value(rank as usize)
    }
}

/// Counting sort by symbol, then by time only where a symbol's rows did not arrive in order.
fn sort_rows(chunks: &[&Chunk], names: &SymbolNames, runs: &[Run]) -> Vec<RowRef> {
    let rows = || runs.iter().flat_map(|(chunk, rows)| rows.clone().map(|row| (*chunk, row)));
    let rank = |(chunk, row): RowRef| {
        names.ranks[chunk as usize][chunks[chunk as usize].rows.symbol[row as usize] as usize] as usize
    };
    let mut ends = vec![0usize; names.sorted.len() + 1];
    for row in rows() {
        ends[rank(row) + 1] += 1;
    }
    for symbol in 1..ends.len() {
        ends[symbol] += ends[symbol - 1];
    }
    let starts = ends.clone();
    let mut sorted = vec![(0, 0); starts[names.sorted.len()]];
    for row in rows() {
        let place = &mut ends[rank(row)];
        sorted[*place] = row;
        *place += 1;
    }
    let key = |(chunk, row): &RowRef| {
        let (chunk, row) = (chunks[*chunk as usize], *row as usize);
        (chunk.rows.ts[row], chunk.partition, chunk.rows.offset[row], chunk.rows.index[row])
    };
    for symbol in 0..names.sorted.len() {
        let run = &mut sorted[starts[symbol]..starts[symbol + 1]];
        if !run.is_sorted_by_key(key) {
            run.sort_unstable_by_key(key);
        }
    }
    sorted
}

/// Some rows of a file, column by column.
pub(in crate::ingest) struct Gather<'a> {
    chunks: &'a [&'a Chunk],
    rows: &'a [RowRef],
}

impl Gather<'_> {
    pub(in crate::ingest) fn iter(&self) -> impl ExactSizeIterator<Item = (&Chunk, usize)> {
        self.rows.iter().map(|(chunk, row)| (self.chunks[*chunk as usize], *row as usize))
    }

    pub(in crate::ingest) fn ranks<'b>(&'b self, names: &'b SymbolNames) -> impl ExactSizeIterator<Item = u32> + 'b {
        self.rows.iter().map(|(chunk, row)| {
            names.ranks[*chunk as usize][self.chunks[*chunk as usize].rows.symbol[*row as usize] as usize]
        })
    }

    fn symbols(&self, names: &SymbolNames) -> ArrayRef {
        let keys = Int32Array::from_iter_values(self.ranks(names).map(|rank| rank as i32));
        let values = Arc::new(names.sorted.clone());
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).expect("ranks point into the sorted names"))
    }

    fn doubles(&self, value: impl Fn(&Chunk, usize) -> f64) -> ArrayRef {
        let values: Vec<f64> = self.iter().map(|(chunk, row)| value(chunk, row)).collect();
        if values.iter().any(|value| value.is_nan()) {
            return Arc::new(Float64Array::from_iter(
                values.into_iter().map(|value| (!value.is_nan()).then_some(value)),
            ));
        }
        Arc::new(Float64Array::from(values))
    }

    fn ints(&self, value: impl Fn(&Chunk, usize) -> i32) -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    fn dates(&self, value: impl Fn(&Chunk, usize) -> i32) -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    fn bigints(&self, value: impl Fn(&Chunk, usize) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    fn timestamps(&self, value: impl Fn(&Chunk, usize) -> Option<i64>) -> ArrayRef {
        let values: TimestampMicrosecondArray = self.iter().map(|(chunk, row)| value(chunk, row)).collect();
        Arc::new(values.with_timezone("UTC"))
    }

    fn strings<'b>(&'b self, value: impl Fn(&'b Chunk, usize) -> Option<&'b str>) -> ArrayRef {
        Arc::new(StringArray::from_iter(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    fn extra(&self, at: usize) -> ArrayRef {
        match self.chunks.first().map(|chunk| &chunk.rows.extras[at]) {
            Some(ExtraColumn::Double(_)) => {
                Arc::new(Float64Array::from_iter(self.iter().map(|(chunk, row)| match &chunk.rows.extras[at] {
                    ExtraColumn::Double(values) => values[row],
                    _ => None,
                })))
            }
            Some(ExtraColumn::Bigint(_)) => {
                Arc::new(Int64Array::from_iter(self.iter().map(|(chunk, row)| match &chunk.rows.extras[at] {
                    ExtraColumn::Bigint(values) => values[row],
                    _ => None,
                })))
            }
            Some(ExtraColumn::Boolean(_)) => {
                Arc::new(BooleanArray::from_iter(self.iter().map(|(chunk, row)| match &chunk.rows.extras[at] {
                    ExtraColumn::Boolean(values) => values[row],
                    _ => None,
                })))
            }
            Some(ExtraColumn::String(_)) | None => self.strings(|chunk, row| match &chunk.rows.extras[at] {
                ExtraColumn::String(values) => values.get(row),
                _ => None,
            }),
        }
    }
}
