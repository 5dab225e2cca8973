//! Decoded ticks as record batches of the table's columns, as a query reads them from files.
//!
//! Invariant: rows of a batch are of one partition, in the order of their offsets.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringViewBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::tail_event::TailChunk;
use crate::lake::TableView;
use crate::market::{ExtraColumn, PartitionBy, StringColumn};

/// Strings are read as views, so that those of a dictionary page, such as symbols, are not copied row by row.
pub fn as_read(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    }
}

/// Columns of the table as a query reads them, the partition column last.
pub fn read_schema(view: &TableView) -> SchemaRef {
    let read = |field: &FieldRef| match *field.name() == view.partition_column {
        true => Arc::clone(field),
        false => as_read(field),
    };
    Arc::new(Schema::new(view.schema.fields().iter().map(read).collect::<Vec<_>>()))
}

/// A record batch of the tail with its offsets and time range.
#[derive(Debug, Clone)]
pub struct TailBatch {
    pub rows: RecordBatch,
    pub partition: i32,
    /// Offsets of the first and the last row.
    pub offsets: (i64, i64),
    /// Bounds of the event times, not always the closest.
    pub ts: (i64, i64),
    pub bytes: usize,
}

impl TailBatch {
    /// The rows from an offset on; `None` where there are none.
    pub(super) fn beginning_at(&self, offset: i64, column: usize) -> Option<Self> {
        if self.offsets.0 >= offset {
            return Some(self.clone());
        }
        let offsets = self.rows.column(column).as_primitive::<Int64Type>().values();
        let start = offsets.partition_point(|at| *at < offset);
        let rows = self.rows.slice(start, self.rows.num_rows() - start);
        (rows.num_rows() > 0).then(|| Self { rows, offsets: (offsets[start], self.offsets.1), ..self.clone() })
    }

    /// Batches of one partition that follow one another, as one.
    pub(super) fn together(parts: &[Arc<Self>]) -> Result<Option<Self>, ArrowError> {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Ok(None) };
        let rows = concat_batches(&first.rows.schema(), parts.iter().map(|part| &part.rows))?;
        let columns = rows.columns().iter().map(|column| match column.as_string_view_opt() {
            // Without this the column keeps the buffers of every part.
            Some(texts) => Arc::new(texts.gc()),
            None => Arc::clone(column),
        });
        let rows = RecordBatch::try_new(rows.schema(), columns.collect())?;
        let ts = parts.iter().fold(first.ts, |(low, high), part| (low.min(part.ts.0), high.max(part.ts.1)));
        let bytes = rows.get_array_memory_size();
        Ok(Some(Self { rows, partition: first.partition, offsets: (first.offsets.0, last.offsets.1), ts, bytes }))
    }
}

/// Builds record batches of one epoch and schema.
#[derive(Debug, Clone)]
pub(super) struct TailRowBuilder {
    schema: SchemaRef,
    epoch: i32,
    partition_by: Option<PartitionBy>,
    /// Names of the extra columns in the order of the chunks'.
    extras: Vec<String>,
}

impl TailRowBuilder {
    /// `extras` are the names of the mapping's extra columns, in its order.
    pub(super) fn new(view: &TableView, epoch: i32, extras: Vec<String>) -> Self {
        let partition_by = PartitionBy::of_column(&view.partition_column);
        Self { schema: read_schema(view), epoch, partition_by, extras }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// `None` for a chunk without rows.
    ///
    /// # Errors
    /// The table has a column that ingest doesn't fill, or of another type.
    pub(super) fn batch(&self, chunk: TailChunk) -> Result<Option<TailBatch>, ArrowError> {
        let TailChunk { partition, rows: mut columns, received_at, .. } = chunk;
        let count = columns.len();
        let (Some(first), Some(last)) = (columns.offset.first().copied(), columns.offset.last().copied()) else {
            return Ok(None);
        };
        let bounds = columns.ts.iter().fold((i64::MAX, i64::MIN), |(low, high), ts| (low.min(*ts), high.max(*ts)));
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let array: ArrayRef = match field.name().as_str() {
                "symbol" => {
                    let names = columns.symbol.iter().map(|id| Some(columns.symbols[*id as usize].as_ref()));
                    texts(names, columns.symbols.iter().map(|name| name.len()).sum())
                }
                "ts" => timestamps(columns.ts.clone(), None),
                "open" => doubles(std::mem::take(&mut columns.open)),
                "high" => doubles(std::mem::take(&mut columns.high)),
                "low" => doubles(std::mem::take(&mut columns.low)),
                "close" => doubles(std::mem::take(&mut columns.close)),
                "volume" => doubles(std::mem::take(&mut columns.volume)),
                "trade_id" => strings(&columns.trade_id),
                "source" => strings(&columns.source),
                "kafka_epoch" => Arc::new(Int32Array::from_value(self.epoch, count)),
                "kafka_partition" => Arc::new(Int32Array::from_value(partition, count)),
                "kafka_offset" => Arc::new(Int64Array::from(columns.offset.clone())),
                "kafka_index" => Arc::new(Int32Array::from(std::mem::take(&mut columns.index))),
                "kafka_ts" => {
                    let known: NullBuffer = columns.kafka_ts.iter().map(|millis| *millis != i64::MIN).collect();
                    let micros = columns.kafka_ts.iter().map(|millis| millis.saturating_mul(1_000)).collect();
                    timestamps(micros, Some(known))
                }
                "ingested_at" => timestamps(vec![received_at; count], None),
                "trade_date" => Arc::new(Date32Array::from(columns.trade_date.clone())),
                name => match (self.extras.iter().position(|extra| extra == name), self.partition_by) {
                    (_, Some(by)) if name == by.column() => {
                        Arc::new(Date32Array::from_iter_values(columns.trade_date.iter().map(|date| by.value(*date))))
                    }
                    (Some(at), _) => extra(&columns.extras[at]),
                    // The column belongs to an earlier mapping.
                    (None, _) => new_null_array(field.data_type(), count),
                },
            };
            arrays.push(array);
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        let bytes = rows.get_array_memory_size();
        Ok(Some(TailBatch { rows, partition, offsets: (first, last), ts: bounds, bytes }))
    }
}

fn timestamps(micros: Vec<i64>, known: Option<NullBuffer>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::new(micros.into(), known).with_timezone("UTC"))
}

/// NaN is NULL.
fn doubles(values: Vec<f64>) -> ArrayRef {
    let known = values.iter().any(|value| value.is_nan());
    let known = known.then(|| values.iter().map(|value| !value.is_nan()).collect::<NullBuffer>());
    Arc::new(Float64Array::new(values.into(), known))
}

/// `bytes` at most are kept outside of the views.
fn texts<'a>(values: impl ExactSizeIterator<Item = Option<&'a str>>, bytes: usize) -> ArrayRef {
    let block = u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
    let builder = StringViewBuilder::with_capacity(values.len()).with_fixed_block_size(block);
    let mut builder = builder.with_deduplicate_strings();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn strings(values: &StringColumn) -> ArrayRef {
    texts((0..values.len()).map(|row| values.get(row)), values.text.len())
}

fn extra(column: &ExtraColumn) -> ArrayRef {
    match column {
        ExtraColumn::Double(values) => Arc::new(Float64Array::from(values.clone())),
        ExtraColumn::Bigint(values) => Arc::new(Int64Array::from(values.clone())),
        ExtraColumn::String(values) => strings(values),
        ExtraColumn::Boolean(values) => Arc::new(BooleanArray::from(values.clone())),
    }
}
