//! Sorts the rows of many chunks into the order of a file, and gathers their columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::ingest::batching::batch::IngestChunk;
use crate::market::ExtraColumn;

/// The position of a row: the number of its chunk, and the row in it.
pub(in crate::ingest) type RowRef = (u32, u32);

/// A run of consecutive rows of a chunk.
pub(in crate::ingest) type RowRun = (u32, Range<u32>);

/// The distinct symbols of a batch in order, and the translation from each chunk's symbol numbers to that order. Some
/// symbols may have no row: reused columns keep the symbols of their earlier rows.
pub(in crate::ingest) struct SymbolNames {
    sorted: StringArray,
    /// For each chunk: from its symbol number to the index in `sorted`.
    ranks: Vec<Vec<u32>>,
}

impl SymbolNames {
    pub(in crate::ingest) fn of(chunks: &[&IngestChunk]) -> Self {
        let mut rank_of: HashMap<&str, u32> =
            chunks.iter().flat_map(|chunk| chunk.rows.symbols.iter().map(|name| (name.as_ref(), 0))).collect();
        let mut names: Vec<&str> = rank_of.keys().copied().collect();
        names.sort_unstable();
        for (name, rank) in names.iter().zip(0..) {
            rank_of.insert(name, rank);
        }
        let ranks =
            chunks.iter().map(|chunk| chunk.rows.symbols.iter().map(|name| rank_of[name.as_ref()]).collect()).collect();
        Self { sorted: StringArray::from_iter_values(names), ranks }
    }

    pub(in crate::ingest) fn name(&self, rank: u32) -> &str {
        self.sorted.value(rank as usize)
    }
}

/// A counting sort by symbol; the rows of a symbol are then sorted by time only if they did not arrive in order.
pub(in crate::ingest) fn sort_rows(chunks: &[&IngestChunk], names: &SymbolNames, runs: &[RowRun]) -> Vec<RowRef> {
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
        let slot = &mut ends[rank(row)];
        sorted[*slot] = row;
        *slot += 1;
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

/// Some rows of a file, whose columns are gathered from the chunks.
pub(in crate::ingest) struct GatheredRows<'a> {
    pub chunks: &'a [&'a IngestChunk],
    pub rows: &'a [RowRef],
}

impl GatheredRows<'_> {
    pub(in crate::ingest) fn iter(&self) -> impl ExactSizeIterator<Item = (&IngestChunk, usize)> {
        self.rows.iter().map(|(chunk, row)| (self.chunks[*chunk as usize], *row as usize))
    }

    pub(in crate::ingest) fn ranks<'b>(&'b self, names: &'b SymbolNames) -> impl ExactSizeIterator<Item = u32> + 'b {
        self.rows.iter().map(|(chunk, row)| {
            names.ranks[*chunk as usize][self.chunks[*chunk as usize].rows.symbol[*row as usize] as usize]
        })
    }

    pub(in crate::ingest) fn symbols(&self, names: &SymbolNames) -> ArrayRef {
        let keys = Int32Array::from_iter_values(self.ranks(names).map(|rank| rank as i32));
        let values = Arc::new(names.sorted.clone());
        Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).expect("ranks point into the sorted names"))
    }

    pub(in crate::ingest) fn doubles(&self, value: impl Fn(&IngestChunk, usize) -> f64) -> ArrayRef {
        let values: Vec<f64> = self.iter().map(|(chunk, row)| value(chunk, row)).collect();
        if values.iter().any(|value| value.is_nan()) {
            return Arc::new(Float64Array::from_iter(
                values.into_iter().map(|value| (!value.is_nan()).then_some(value)),
            ));
        }
        Arc::new(Float64Array::from(values))
    }

    pub(in crate::ingest) fn ints(&self, value: impl Fn(&IngestChunk, usize) -> i32) -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    pub(in crate::ingest) fn dates(&self, value: impl Fn(&IngestChunk, usize) -> i32) -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    pub(in crate::ingest) fn bigints(&self, value: impl Fn(&IngestChunk, usize) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    pub(in crate::ingest) fn timestamps(&self, value: impl Fn(&IngestChunk, usize) -> Option<i64>) -> ArrayRef {
        let values: TimestampMicrosecondArray = self.iter().map(|(chunk, row)| value(chunk, row)).collect();
        Arc::new(values.with_timezone("UTC"))
    }

    pub(in crate::ingest) fn strings<'b>(
        &'b self,
        value: impl Fn(&'b IngestChunk, usize) -> Option<&'b str>,
    ) -> ArrayRef {
        Arc::new(StringArray::from_iter(self.iter().map(|(chunk, row)| value(chunk, row))))
    }

    pub(in crate::ingest) fn extra(&self, at: usize) -> ArrayRef {
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
