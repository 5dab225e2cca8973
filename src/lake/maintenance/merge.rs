//! Merges sorted files: decides which rows of which file come next. Pure; the caller reads batches and writes rows.
//!
//! Rows of a symbol in one file mostly follow each other without a row of another file in between, so the merge returns
//! runs of rows, and its cost is per run.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;

/// Sort key of a row: symbol, ts, partition, offset, index.
type Key<'a> = (&'a str, i64, i32, i64, i32);

/// The next step of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MergeStep {
    /// Pass the next batch of this input, or `None` at its end.
    Wanted(usize),
    /// Write these rows of the input's batch.
    Run(usize, Range<usize>),
    Done,
}

/// Why files can't be merged; the table stays as it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    #[error("it has no column {0}, or one of another type")]
    Column(&'static str),
    #[error("its footer says that it is sorted, and it is not")]
    NotSorted,
    #[error("the row {0} is in it and in another file: run `tickhouse verify` for details")]
    Twice(String),
}

/// The key columns of a batch.
struct SortKeys {
    symbol: StringArray,
    ts: TimestampMicrosecondArray,
    partition: Int32Array,
    offset: Int64Array,
    index: Int32Array,
    epoch: Int32Array,
}

impl SortKeys {
    fn of(batch: &RecordBatch) -> Result<Self, MergeError> {
        fn column<T: Array + Clone + 'static>(batch: &RecordBatch, name: &'static str) -> Result<T, MergeError> {
            let found: Option<&ArrayRef> = batch.column_by_name(name);
            found.and_then(|column| column.as_any().downcast_ref::<T>()).cloned().ok_or(MergeError::Column(name))
        }
        Ok(Self {
            symbol: column(batch, "symbol")?,
            ts: column(batch, "ts")?,
            partition: column(batch, "kafka_partition")?,
            offset: column(batch, "kafka_offset")?,
            index: column(batch, "kafka_index")?,
            epoch: column(batch, "kafka_epoch")?,
        })
    }

    fn key(&self, row: usize) -> Key<'_> {
        (
            self.symbol.value(row),
            self.ts.value(row),
            self.partition.value(row),
            self.offset.value(row),
            self.index.value(row),
        )
    }

    /// First row at or after `from` whose key is above `bound`; rows are sorted. Searches near `from` first.
    fn upper_bound(&self, from: usize, bound: &Key<'_>) -> usize {
        let rows = self.ts.len();
        let mut step = 1;
        let mut below = from;
        while below + step < rows && self.key(below + step) < *bound {
            below += step;
            step *= 2;
        }
        let (mut low, mut high) = (below + 1, (below + step).min(rows));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle) < *bound {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

enum MergeInput {
    Waiting,
    Reading { keys: SortKeys, row: usize },
    Ended,
}

/// A merge of sorted inputs.
pub(super) struct Merge {
    inputs: Vec<MergeInput>,
}

impl Merge {
    pub(super) fn new(inputs: usize) -> Self {
        Self { inputs: (0..inputs).map(|_| MergeInput::Waiting).collect() }
    }

    /// Passes the requested batch of an input; `None` at its end.
    ///
    /// # Errors
    /// The batch lacks a key column, or isn't sorted.
    pub(super) fn give(&mut self, input: usize, batch: Option<&RecordBatch>) -> Result<(), MergeError> {
        self.inputs[input] = match batch {
            Some(batch) if batch.num_rows() == 0 => MergeInput::Waiting,
            Some(batch) => {
                let keys = SortKeys::of(batch)?;
                if !(1..batch.num_rows()).all(|row| keys.key(row - 1) <= keys.key(row)) {
                    return Err(MergeError::NotSorted);
                }
                MergeInput::Reading { keys, row: 0 }
            }
            None => MergeInput::Ended,
        };
        Ok(())
    }

    /// # Errors
    /// A row is in this input and in another one.
    pub(super) fn step(&mut self) -> Result<MergeStep, (usize, MergeError)> {
        let mut first: Option<(usize, Key<'_>)> = None;
        let mut second: Option<(usize, Key<'_>)> = None;
        for (at, input) in self.inputs.iter().enumerate() {
            let key = match input {
                MergeInput::Waiting => return Ok(MergeStep::Wanted(at)),
                MergeInput::Ended => continue,
                MergeInput::Reading { keys, row } => keys.key(*row),
            };
            match &first {
                Some((_, lowest)) if key.cmp(lowest) != Ordering::Less => {
                    if second.as_ref().is_none_or(|(_, lowest)| key < *lowest) {
                        second = Some((at, key));
                    }
                }
                _ => second = first.replace((at, key)),
            }
        }
        let Some((input, lowest)) = first else { return Ok(MergeStep::Done) };
        let MergeInput::Reading { keys, row } = &self.inputs[input] else { return Ok(MergeStep::Done) };
        let (start, rows) = (*row, keys.ts.len());
        let end = match &second {
            None => rows,
            Some((other, bound)) => {
                if lowest == *bound && self.epoch(input) == self.epoch(*other) {
                    let (symbol, _, partition, offset, index) = lowest;
                    return Err((input, MergeError::Twice(format!("{symbol} {partition}/{offset}/{index}"))));
                }
                // Takes at least one row, as another epoch may have the same key.
                keys.upper_bound(start, bound)
            }
        };
        if let MergeInput::Reading { row, .. } = &mut self.inputs[input] {
            *row = end;
        }
        if end == rows {
            self.inputs[input] = MergeInput::Waiting;
        }
        Ok(MergeStep::Run(input, start..end))
    }

    fn epoch(&self, input: usize) -> Option<i32> {
        match &self.inputs[input] {
            MergeInput::Reading { keys, row } => Some(keys.epoch.value(*row)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use proptest::prelude::*;

    use super::*;

    type Row = (String, i64, i32, i64);

    fn batch(rows: &[Row]) -> RecordBatch {
        let all = || rows.iter();
        let zeros = || Arc::new(Int32Array::from(vec![0; rows.len()])) as ArrayRef;
        RecordBatch::try_from_iter([
            ("symbol", Arc::new(StringArray::from_iter_values(all().map(|row| &row.0))) as ArrayRef),
            ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(all().map(|row| row.1)))),
            ("kafka_partition", Arc::new(Int32Array::from_iter_values(all().map(|row| row.2)))),
            ("kafka_offset", Arc::new(Int64Array::from_iter_values(all().map(|row| row.3)))),
            ("kafka_index", zeros()),
            ("kafka_epoch", zeros()),
        ])
        .unwrap()
    }

    fn merged(inputs: &[Vec<Row>], batch_rows: usize) -> Result<Vec<Row>, MergeError> {
        let mut merge = Merge::new(inputs.len());
        let mut left: Vec<std::slice::Chunks<'_, Row>> = inputs.iter().map(|rows| rows.chunks(batch_rows)).collect();
        let mut current: Vec<&[Row]> = vec![&[]; inputs.len()];
        let mut all = Vec::new();
        loop {
            match merge.step().map_err(|(_, cause)| cause)? {
                MergeStep::Done => return Ok(all),
                MergeStep::Run(input, rows) => all.extend_from_slice(&current[input][rows]),
                MergeStep::Wanted(input) => match left[input].next() {
                    Some(rows) => {
                        current[input] = rows;
                        merge.give(input, Some(&batch(rows)))?;
                    }
                    None => merge.give(input, None)?,
                },
            }
        }
    }

    proptest! {
        #[test]
        fn it_gives_what_a_sort_gives(
            rows in prop::collection::vec((0usize..4, 0i64..40, 0i32..3, 0usize..5), 0..300), batch_rows in 1usize..20,
        ) {
            let mut inputs = vec![Vec::new(); 5];
            for (offset, (symbol, ts, partition, input)) in rows.into_iter().enumerate() {
                let symbol = ["A", "AA", "B", "é"][symbol].to_owned();
                inputs[input].push((symbol, ts, partition, offset as i64));
            }
            inputs.iter_mut().for_each(|rows| rows.sort());
            let mut expected: Vec<Row> = inputs.iter().flatten().cloned().collect();
            expected.sort();
            prop_assert_eq!(merged(&inputs, batch_rows).unwrap(), expected);
        }
    }

    #[test]
    fn damage_stops_it() {
        let row = |ts: i64, offset: i64| ("A".to_owned(), ts, 0, offset);
        assert_eq!(merged(&[vec![row(2, 0), row(1, 1)]], 8), Err(MergeError::NotSorted));
        let twice = merged(&[vec![row(1, 0), row(2, 1)], vec![row(2, 1)]], 8);
        assert_eq!(twice, Err(MergeError::Twice("A 0/1/0".to_owned())));
    }
}
