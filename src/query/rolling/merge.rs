//! Rows of files that overlap in time, brought into order symbol by symbol.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::AsArray;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_datafusion_err};

use super::exchange::{BATCH_ROWS, Coalescer, SLICE_ROWS};
use super::symbols::Symbols;
use crate::lake::SORTED_BY;

/// Places of the columns that order the rows of a symbol: ts, then what tells equal times apart, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub columns: Vec<usize>,
}

/// Where a row stands among those of its symbol.
type Key = (i64, i32, i64, i32);

/// The key columns of a batch.
struct KeyColumns<'a> {
    ts: &'a [i64],
    partition: Option<&'a [i32]>,
    offset: Option<&'a [i64]>,
    index: Option<&'a [i32]>,
}

impl Keys {
    pub(super) const NAMES: [&'static str; 4] = ["ts", "kafka_partition", "kafka_offset", "kafka_index"];

    /// The keys in a schema, as many as there are without a gap; `None` without a time.
    pub(super) fn of(schema: &SchemaRef) -> Option<Self> {
        let expected = |name: &str, kind: &DataType| match name {
            "ts" => matches!(kind, DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _)),
            "kafka_offset" => *kind == DataType::Int64,
            _ => *kind == DataType::Int32,
        };
        let place = |name: &&str| {
            let (at, field) = schema.column_with_name(name)?;
            (expected(name, field.data_type()) && !field.is_nullable()).then_some(at)
        };
        let columns: Vec<usize> = Self::NAMES.iter().map_while(place).collect();
        (!columns.is_empty()).then_some(Self { columns })
    }

    fn read<'a>(&self, batch: &'a RecordBatch) -> KeyColumns<'a> {
        let ints =
            |at: usize| self.columns.get(at).map(|at| &batch.column(*at).as_primitive::<Int32Type>().values()[..]);
        KeyColumns {
            ts: batch.column(self.columns[0]).as_primitive::<TimestampMicrosecondType>().values(),
            partition: ints(1),
            offset: self.columns.get(2).map(|at| &batch.column(*at).as_primitive::<Int64Type>().values()[..]),
            index: ints(3),
        }
    }
}

impl KeyColumns<'_> {
    fn key(&self, row: usize) -> Key {
        let int = |values: Option<&[i32]>| values.map_or(0, |values| values[row]);
        (self.ts[row], int(self.partition), self.offset.map_or(0, |values| values[row]), int(self.index))
    }

    /// The least and the greatest key.
    fn bounds(&self, rows: Range<usize>) -> (Key, Key) {
        let first = self.key(rows.start);
        rows.fold((first, first), |(least, greatest), row| {
            let key = self.key(row);
            (least.min(key), greatest.max(key))
        })
    }

    fn is_sorted(&self, rows: Range<usize>) -> bool {
        let pairs = self.ts[rows.clone()].windows(2).zip(rows.start..);
        pairs.fold(true, |sorted, (pair, row)| {
            sorted && (pair[0] < pair[1] || (pair[0] == pair[1] && self.key(row) <= self.key(row + 1)))
        })
    }
}

/// The last row of each batch checked so far, for files that say they are sorted.
#[derive(Debug, Default)]
pub(super) struct OrderCheck {
    symbols: Symbols,
    last: Vec<Option<Key>>,
}

impl OrderCheck {
    /// # Errors
    /// Rows of a symbol are not in order.
    pub(super) fn check(&mut self, batch: &RecordBatch, symbol: usize, keys: &Keys) -> Result<()> {
        let columns = keys.read(batch);
        for run in self.symbols.runs(batch.column(symbol))? {
            self.last.resize(self.symbols.len(), None);
            let last = &mut self.last[run.symbol];
            let follows = last.is_none_or(|last| last <= columns.key(run.rows.start));
            if !follows || !columns.is_sorted(run.rows.clone()) {
                return Err(exec_datafusion_err!(
                    "a file of ticks says that it is sorted and is not: write it anew without the key {} in its footer",
                    SORTED_BY
                ));
            }
            *last = Some(columns.key(run.rows.end - 1));
        }
        Ok(())
    }
}

/// Consecutive rows of one symbol in a batch, with its least and greatest key.
#[derive(Debug, Clone)]
struct Segment {
    symbol: usize,
    first: Key,
    last: Key,
    batch: usize,
    rows: Range<usize>,
    sorted: bool,
}

/// All rows of a group of files that are one partition's; gives them symbol by symbol.
pub(super) struct Merge {
    batches: Vec<RecordBatch>,
    keys: Keys,
    segments: VecDeque<Segment>,
    output: Coalescer,
}

impl Merge {
    /// # Errors
    /// A batch holds no symbols.
    pub(super) fn new(batches: Vec<RecordBatch>, schema: SchemaRef, symbol: usize, keys: Keys) -> Result<Self> {
        let mut symbols = Symbols::default();
        let mut segments = Vec::new();
        for (at, batch) in batches.iter().enumerate() {
            let columns = keys.read(batch);
            for run in symbols.runs(batch.column(symbol))? {
                let sorted = columns.is_sorted(run.rows.clone());
                let (first, last) = if sorted {
                    (columns.key(run.rows.start), columns.key(run.rows.end - 1))
                } else {
                    columns.bounds(run.rows.clone())
                };
                segments.push(Segment { symbol: run.symbol, first, last, batch: at, rows: run.rows, sorted });
            }
        }
        segments.sort_by_key(|segment| (segment.symbol, segment.first, segment.last));
        Ok(Self { batches, keys, segments: segments.into(), output: Coalescer::new(schema) })
    }

    /// # Errors
    /// Arrow can't put the rows together.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.output.next() {
                return Ok(Some(batch));
            }
            let Some(symbol) = self.segments.front().map(|segment| segment.symbol) else {
                self.output.flush()?;
                return Ok(self.output.next());
            };
            let same = self.segments.iter().take_while(|segment| segment.symbol == symbol).count();
            let segments: Vec<Segment> = self.segments.drain(..same).collect();
            self.emit(&segments)?;
        }
    }

    /// All rows of one symbol. Only stretches of segments that overlap are sorted.
    fn emit(&mut self, segments: &[Segment]) -> Result<()> {
        let rows: usize = segments.iter().map(|segment| segment.rows.len()).sum();
        if rows < segments.len() * SLICE_ROWS {
            return self.emit_sorted(segments);
        }
        let mut start = 0;
        while start < segments.len() {
            let mut end = start + 1;
            let mut reached = segments[start].last;
            while end < segments.len() && segments[end].first < reached {
                reached = reached.max(segments[end].last);
                end += 1;
            }
            match &segments[start..end] {
                [one] if one.sorted => {
                    self.output.push(self.batches[one.batch].slice(one.rows.start, one.rows.len()))?;
                }
                overlapping => self.emit_sorted(overlapping)?,
            }
            start = end;
        }
        Ok(())
    }

    fn emit_sorted(&mut self, segments: &[Segment]) -> Result<()> {
        let columns: Vec<KeyColumns<'_>> =
            segments.iter().map(|segment| self.keys.read(&self.batches[segment.batch])).collect();
        let rows = segments.iter().zip(&columns);
        let mut rows: Vec<(Key, usize, usize)> = rows
            .flat_map(|(segment, columns)| segment.rows.clone().map(|row| (columns.key(row), segment.batch, row)))
            .collect();
        rows.sort_unstable();
        let mut used: Vec<usize> = segments.iter().map(|segment| segment.batch).collect();
        used.sort_unstable();
        used.dedup();
        let batches: Vec<&RecordBatch> = used.iter().map(|batch| &self.batches[*batch]).collect();
        let place = |batch: usize| used.binary_search(&batch).expect("each batch of a segment is listed");
        for rows in rows.chunks(BATCH_ROWS) {
            let places: Vec<(usize, usize)> = rows.iter().map(|(_, batch, row)| (place(*batch), *row)).collect();
            self.output.push(interleave_record_batch(&batches, &places)?)?;
        }
        Ok(())
    }
}
