//! Rows of files that overlap in time, brought into order symbol by symbol.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::AsArray;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_datafusion_err};

use super::exchange::{BATCH_ROWS, SLICE_ROWS, SliceCoalescer, sliced_bytes};
use super::symbols::SymbolNumbers;
use crate::lake::SORTED_BY;

/// The indices of the columns that order the rows of a symbol: ts, then the columns that order equal times, as far as
/// they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::query) struct OrderKeys {
    pub columns: Vec<usize>,
}

/// The position of a row among those of its symbol.
pub(super) type OrderKey = (i64, i32, i64, i32);

/// The key columns of a batch.
pub(super) struct KeyColumns<'a> {
    ts: &'a [i64],
    partition: Option<&'a [i32]>,
    offset: Option<&'a [i64]>,
    index: Option<&'a [i32]>,
}

impl OrderKeys {
    pub(in crate::query) const NAMES: [&'static str; 4] = ["ts", "kafka_partition", "kafka_offset", "kafka_index"];

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

    pub(super) fn read<'a>(&self, batch: &'a RecordBatch) -> KeyColumns<'a> {
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
    pub(super) fn key(&self, row: usize) -> OrderKey {
        let int = |values: Option<&[i32]>| values.map_or(0, |values| values[row]);
        (self.ts[row], int(self.partition), self.offset.map_or(0, |values| values[row]), int(self.index))
    }

    /// Where the rows end that are in order from the start on.
    fn end_of_order(&self, rows: Range<usize>) -> usize {
        let pairs = self.ts[rows.clone()].windows(2).zip(rows.start..);
        let follow = pairs
            .take_while(|(pair, row)| pair[0] < pair[1] || (pair[0] == pair[1] && self.key(*row) <= self.key(row + 1)));
        (rows.start + 1 + follow.count()).min(rows.end)
    }
}

/// The last row of each batch checked so far, for files that say they are sorted.
#[derive(Debug, Default)]
pub(super) struct OrderCheck {
    symbols: SymbolNumbers,
    last: Vec<Option<OrderKey>>,
}

impl OrderCheck {
    /// # Errors
    /// Rows of a symbol are not in order.
    pub(super) fn check(&mut self, batch: &RecordBatch, symbol: usize, keys: &OrderKeys) -> Result<()> {
        let columns = keys.read(batch);
        for run in self.symbols.runs(batch.column(symbol))? {
            self.last.resize(self.symbols.len(), None);
            let last = &mut self.last[run.symbol];
            let follows = last.is_none_or(|last| last <= columns.key(run.rows.start));
            if !follows || columns.end_of_order(run.rows.clone()) < run.rows.end {
                return Err(exec_datafusion_err!(
                    "a file of ticks says that it is sorted and is not: rewrite it without the key {} in its footer",
                    SORTED_BY
                ));
            }
            *last = Some(columns.key(run.rows.end - 1));
        }
        Ok(())
    }
}

/// Consecutive rows of one symbol in a batch, in order, with the first and the last key.
#[derive(Debug, Clone)]
struct SymbolSegment {
    first: OrderKey,
    last: OrderKey,
    /// Number of the batch.
    batch: usize,
    rows: Range<usize>,
}

/// A batch that has rows which were not given yet.
struct HeldBatch {
    batch: RecordBatch,
    rows: usize,
    bytes: usize,
}

/// Rows of one partition, out of a group of files that overlap. What no later file can precede is released, and then
/// given symbol by symbol.
pub(super) struct SymbolMerge {
    symbol: usize,
    keys: OrderKeys,
    symbols: SymbolNumbers,
    /// `None` where all rows were given. The number of the first is `given`.
    batches: VecDeque<Option<HeldBatch>>,
    given: usize,
    /// By number of the symbol.
    segments: Vec<Vec<SymbolSegment>>,
    /// Rows in `segments`.
    held_rows: usize,
    released: VecDeque<Vec<SymbolSegment>>,
    output: SliceCoalescer,
    bytes: usize,
}

impl SymbolMerge {
    pub(super) fn new(schema: SchemaRef, symbol: usize, keys: OrderKeys) -> Self {
        Self {
            symbol,
            keys,
            symbols: SymbolNumbers::default(),
            batches: VecDeque::new(),
            given: 0,
            segments: Vec::new(),
            held_rows: 0,
            released: VecDeque::new(),
            output: SliceCoalescer::new(schema),
            bytes: 0,
        }
    }

    /// Of the batches that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that wait for their release.
    pub(super) fn held_rows(&self) -> usize {
        self.held_rows
    }

    /// # Errors
    /// The batch holds no symbols.
    pub(super) fn hold(&mut self, batch: RecordBatch) -> Result<()> {
        let number = self.given + self.batches.len();
        let columns = self.keys.read(&batch);
        for run in self.symbols.runs(batch.column(self.symbol))? {
            self.segments.resize_with(self.symbols.len(), Vec::new);
            let mut start = run.rows.start;
            while start < run.rows.end {
                let end = columns.end_of_order(start..run.rows.end);
                let (first, last) = (columns.key(start), columns.key(end - 1));
                self.segments[run.symbol].push(SymbolSegment { first, last, batch: number, rows: start..end });
                start = end;
            }
        }
        let (rows, bytes) = (batch.num_rows(), sliced_bytes(&batch)?);
        self.held_rows += rows;
        self.bytes += bytes;
        self.batches.push_back(Some(HeldBatch { batch, rows, bytes }));
        Ok(())
    }

    /// Rows before this time can go, or all.
    pub(super) fn release(&mut self, before: Option<i64>) {
        for held in &mut self.segments {
            let all = std::mem::take(held);
            let mut released = Vec::with_capacity(all.len());
            for mut segment in all {
                if before.is_none_or(|before| segment.last.0 < before) {
                    released.push(segment);
                    continue;
                }
                if let Some(before) = before.filter(|before| segment.first.0 < *before)
                    && let Some(from) = &self.batches[segment.batch - self.given]
                {
                    let columns = self.keys.read(&from.batch);
                    let ready = columns.ts[segment.rows.clone()].partition_point(|ts| *ts < before);
                    let cut = segment.rows.start + ready;
                    let (rows, last) = (segment.rows.start..cut, columns.key(cut - 1));
                    released.push(SymbolSegment { last, rows, ..segment });
                    (segment.first, segment.rows.start) = (columns.key(cut), cut);
                }
                held.push(segment);
            }
            if !released.is_empty() {
                self.held_rows -= released.iter().map(|segment| segment.rows.len()).sum::<usize>();
                released.sort_by_key(|segment| (segment.first, segment.last));
                self.released.push_back(released);
            }
        }
    }

    /// The next rows of what was released; `None` when all of it was given.
    ///
    /// # Errors
    /// Arrow can't put the rows together.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.output.next() {
                return Ok(Some(batch));
            }
            let Some(segments) = self.released.pop_front() else {
                self.output.flush()?;
                return Ok(self.output.next());
            };
            self.emit(&segments)?;
            self.give(&segments);
        }
    }

    /// Forgets batches whose rows were all given.
    fn give(&mut self, segments: &[SymbolSegment]) {
        for segment in segments {
            let place = &mut self.batches[segment.batch - self.given];
            let Some(held) = place else { continue };
            held.rows -= segment.rows.len();
            if held.rows == 0 {
                self.bytes -= held.bytes;
                *place = None;
            }
        }
        while let Some(None) = self.batches.front() {
            self.batches.pop_front();
            self.given += 1;
        }
    }

    fn batch(&self, number: usize) -> &RecordBatch {
        let held = self.batches[number - self.given].as_ref();
        &held.expect("a batch is there while one of its segments is").batch
    }

    /// Rows of one symbol. Only stretches of segments that overlap are sorted.
    fn emit(&mut self, segments: &[SymbolSegment]) -> Result<()> {
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
                [one] => {
                    let slice = self.batch(one.batch).slice(one.rows.start, one.rows.len());
                    self.output.push(slice)?;
                }
                overlapping => self.emit_sorted(overlapping)?,
            }
            start = end;
        }
        Ok(())
    }

    fn emit_sorted(&mut self, segments: &[SymbolSegment]) -> Result<()> {
        let mut used: Vec<usize> = segments.iter().map(|segment| segment.batch).collect();
        used.sort_unstable();
        used.dedup();
        let batches: Vec<RecordBatch> = used.iter().map(|number| self.batch(*number).clone()).collect();
        let columns: Vec<KeyColumns<'_>> = batches.iter().map(|batch| self.keys.read(batch)).collect();
        let mut rows: Vec<(OrderKey, usize, usize)> = Vec::new();
        for segment in segments {
            let at = used.binary_search(&segment.batch).expect("each batch of a segment is listed");
            rows.extend(segment.rows.clone().map(|row| (columns[at].key(row), at, row)));
        }
        rows.sort_unstable();
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        for rows in rows.chunks(BATCH_ROWS) {
            let places: Vec<(usize, usize)> = rows.iter().map(|(_, at, row)| (*at, *row)).collect();
            self.output.push(interleave_record_batch(&batches, &places)?)?;
        }
        Ok(())
    }
}
