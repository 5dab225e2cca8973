//! The kernels of `indicators` over columns: each holds the state of all symbols of a partition.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray, PrimitiveBuilder};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Float64Type};

use super::symbols::SymbolRun;
use crate::indicators::{Fold, Frame, Frames, LaggedValues, Moments, MomentsState, NonNullCounter, Sum};

/// The argument is known at a row; `None` where it is at all rows. An array of type Null has no buffer of its own.
fn known(argument: &dyn Array) -> Option<NullBuffer> {
    argument.logical_nulls().filter(|nulls| nulls.null_count() > 0)
}

/// Known values of an argument in each frame; of all rows where there is no argument.
#[derive(Debug)]
pub(super) struct KnownCounts {
    frame: Frame,
    symbols: Vec<NonNullCounter>,
}

impl KnownCounts {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, symbols: Vec::new() }
    }

    pub(super) fn extend(
        &mut self,
        argument: Option<&ArrayRef>,
        runs: &[SymbolRun],
        symbols: usize,
        rows: usize,
    ) -> Vec<i64> {
        self.symbols.resize_with(symbols, || NonNullCounter::new(self.frame));
        let nulls = argument.and_then(|argument| known(argument));
        let mut counts = Vec::with_capacity(rows);
        for run in runs {
            if run.starts_window {
                self.symbols[run.symbol] = NonNullCounter::new(self.frame);
            }
            let is_known = nulls.as_ref().map(|nulls| |at: usize| nulls.is_valid(run.rows.start + at));
            self.symbols[run.symbol].extend(run.rows.len(), is_known, &mut counts);
        }
        counts
    }

    pub(super) fn size(&self) -> usize {
        sizes(&self.symbols, NonNullCounter::size)
    }
}

/// Bytes of the state of all symbols.
fn sizes<S>(symbols: &Vec<S>, size: impl Fn(&S) -> usize) -> usize {
    symbols.capacity() * size_of::<S>() + symbols.iter().map(size).sum::<usize>()
}

/// A fold of a column over each frame.
#[derive(Debug)]
pub(super) struct FoldedFrames<P, F: Fold> {
    frame: Frame,
    symbols: Vec<Frames<F>>,
    kind: PhantomData<fn() -> P>,
}

pub(super) type Sums = FoldedFrames<Float64Type, Sum>;
pub(super) type AllMoments = FoldedFrames<Float64Type, Moments>;

impl<P: ArrowPrimitiveType, F: Fold<Value = P::Native>> FoldedFrames<P, F> {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, symbols: Vec::new(), kind: PhantomData }
    }

    pub(super) fn extend(&mut self, argument: &ArrayRef, runs: &[SymbolRun], symbols: usize) -> Vec<F::State> {
        self.symbols.resize_with(symbols, || Frames::new(self.frame));
        let mut states = Vec::with_capacity(argument.len());
        let nulls = known(argument);
        let values: &[P::Native] = argument.as_primitive::<P>().values();
        for run in runs {
            let frames = &mut self.symbols[run.symbol];
            if run.starts_window {
                *frames = Frames::new(self.frame);
            }
            let values = &values[run.rows.clone()];
            match &nulls {
                None => frames.extend(values.len(), |at| F::of(values[at]), &mut states),
                Some(nulls) => {
                    let nulls = nulls.slice(run.rows.start, run.rows.len());
                    let state_of = |at: usize| if nulls.is_valid(at) { F::of(values[at]) } else { F::EMPTY };
                    frames.extend(values.len(), state_of, &mut states);
                }
            }
        }
        states
    }

    pub(super) fn size(&self) -> usize {
        sizes(&self.symbols, Frames::size)
    }
}

/// A kernel whose states are the values of the result.
pub(super) trait ArrayKernel: Debug + Send {
    /// One value a row, NULL where `counts` is zero.
    fn extend(&mut self, argument: &ArrayRef, runs: &[SymbolRun], symbols: usize, counts: Option<&[i64]>) -> ArrayRef;

    /// Bytes that are allocated.
    fn size(&self) -> usize;
}

impl<P, F> ArrayKernel for FoldedFrames<P, F>
where
    P: ArrowPrimitiveType + Debug,
    F: Fold<Value = P::Native, State = P::Native> + Debug + Send,
    Frames<F>: Debug,
{
    fn extend(&mut self, argument: &ArrayRef, runs: &[SymbolRun], symbols: usize, counts: Option<&[i64]>) -> ArrayRef {
        let values = FoldedFrames::extend(self, argument, runs, symbols);
        let nulls = counts.and_then(where_some);
        let array = PrimitiveArray::<P>::new(values.into(), nulls);
        Arc::new(array.with_data_type(argument.data_type().clone()))
    }

    fn size(&self) -> usize {
        FoldedFrames::size(self)
    }
}

/// `LAG`.
#[derive(Debug)]
pub(super) struct LagKernel<P: ArrowPrimitiveType> {
    distance: usize,
    symbols: Vec<LaggedValues<P::Native>>,
}

impl<P: ArrowPrimitiveType> LagKernel<P> {
    pub(super) fn new(distance: usize) -> Self {
        Self { distance, symbols: Vec::new() }
    }
}

impl<P: ArrowPrimitiveType + Debug> ArrayKernel for LagKernel<P> {
    fn extend(&mut self, argument: &ArrayRef, runs: &[SymbolRun], symbols: usize, _counts: Option<&[i64]>) -> ArrayRef {
        self.symbols.resize_with(symbols, || LaggedValues::new(self.distance));
        let array = argument.as_primitive::<P>();
        let nulls = known(argument);
        let mut values = Vec::with_capacity(array.len());
        let mut absent = Vec::new();
        for run in runs {
            if run.starts_window {
                self.symbols[run.symbol] = LaggedValues::new(self.distance);
            }
            let slice = &array.values()[run.rows.clone()];
            let value =
                |at: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(run.rows.start + at)).then(|| slice[at]);
            self.symbols[run.symbol].extend(slice.len(), value, |value| {
                if value.is_none() {
                    absent.push(values.len());
                }
                values.push(value.unwrap_or_default());
            });
        }
        let nulls = (!absent.is_empty()).then(|| nulls_at(&absent, values.len()));
        Arc::new(PrimitiveArray::<P>::new(values.into(), nulls).with_data_type(argument.data_type().clone()))
    }

    fn size(&self) -> usize {
        sizes(&self.symbols, LaggedValues::size)
    }
}

/// `FIRST_VALUE` of all rows up to the current one.
#[derive(Debug)]
pub(super) struct FirstValueKernel<P: ArrowPrimitiveType> {
    /// `None` before the first row.
    symbols: Vec<Option<Option<P::Native>>>,
}

impl<P: ArrowPrimitiveType> FirstValueKernel<P> {
    pub(super) fn new() -> Self {
        Self { symbols: Vec::new() }
    }
}

impl<P: ArrowPrimitiveType + Debug> ArrayKernel for FirstValueKernel<P> {
    fn extend(&mut self, argument: &ArrayRef, runs: &[SymbolRun], symbols: usize, _counts: Option<&[i64]>) -> ArrayRef {
        self.symbols.resize(symbols, None);
        let array = argument.as_primitive::<P>();
        let mut firsts = PrimitiveBuilder::<P>::with_capacity(array.len());
        for run in runs {
            let first = &mut self.symbols[run.symbol];
            if run.starts_window {
                *first = None;
            }
            let at = run.rows.start;
            match *first.get_or_insert_with(|| array.is_valid(at).then(|| array.value(at))) {
                Some(value) => firsts.append_value_n(value, run.rows.len()),
                None => firsts.append_nulls(run.rows.len()),
            }
        }
        Arc::new(firsts.finish().with_data_type(argument.data_type().clone()))
    }

    fn size(&self) -> usize {
        sizes(&self.symbols, |_| 0)
    }
}

fn nulls_at(absent: &[usize], len: usize) -> NullBuffer {
    let mut valid = arrow::array::BooleanBufferBuilder::new(len);
    valid.append_n(len, true);
    absent.iter().for_each(|at| valid.set_bit(*at, false));
    NullBuffer::new(valid.finish())
}

/// `ROW_NUMBER`.
#[derive(Debug, Default)]
pub(super) struct RowNumberKernel {
    symbols: Vec<i64>,
}

impl RowNumberKernel {
    pub(super) fn extend(&mut self, runs: &[SymbolRun], symbols: usize, rows: usize) -> ArrayRef {
        self.symbols.resize(symbols, 0);
        let mut numbers = Vec::with_capacity(rows);
        for run in runs {
            let last = &mut self.symbols[run.symbol];
            if run.starts_window {
                *last = 0;
            }
            let next = *last + run.rows.len() as i64;
            numbers.extend(*last + 1..=next);
            *last = next;
        }
        Arc::new(Int64Array::from(numbers))
    }
}

/// Valid where the count is not zero; `None` where it nowhere is.
pub(super) fn where_some(counts: &[i64]) -> Option<NullBuffer> {
    counts.contains(&0).then(|| NullBuffer::new(BooleanBuffer::collect_bool(counts.len(), |at| counts[at] != 0)))
}

pub(super) fn means(sums: &[f64], counts: &[i64]) -> ArrayRef {
    // Frames are full but for the first rows of a symbol: one count for all is no conversion for each.
    let values: Vec<f64> = match counts {
        [first, others @ ..] if others.iter().all(|count| count == first) => {
            let count = *first as f64;
            sums.iter().map(|sum| sum / count).collect()
        }
        _ => sums.iter().zip(counts).map(|(sum, count)| sum / *count as f64).collect(),
    };
    Arc::new(PrimitiveArray::<Float64Type>::new(values.into(), where_some(counts)))
}

pub(super) fn sums(sums: &[f64], counts: &[i64]) -> ArrayRef {
    Arc::new(PrimitiveArray::<Float64Type>::new(sums.to_vec().into(), where_some(counts)))
}

pub(super) fn spreads(states: &[MomentsState], spread: impl Fn(&MomentsState) -> Option<f64>) -> ArrayRef {
    Arc::new(states.iter().map(spread).collect::<PrimitiveArray<Float64Type>>())
}

/// The kernel over values of this type, by its native one; `None` where there is none.
macro_rules! by_type {
    ($kind:expr, $make:ident) => {
        match $kind {
            DataType::Float64 => Some($make!(arrow::datatypes::Float64Type)),
            DataType::Int64 => Some($make!(arrow::datatypes::Int64Type)),
            DataType::Int32 => Some($make!(arrow::datatypes::Int32Type)),
            DataType::UInt64 => Some($make!(arrow::datatypes::UInt64Type)),
            DataType::Date32 => Some($make!(arrow::datatypes::Date32Type)),
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
                Some($make!(arrow::datatypes::TimestampMicrosecondType))
            }
            _ => None,
        }
    };
}

pub(super) fn lagged(kind: &DataType, distance: usize) -> Option<Box<dyn ArrayKernel>> {
    macro_rules! make {
        ($type:ty) => {
            Box::new(LagKernel::<$type>::new(distance)) as Box<dyn ArrayKernel>
        };
    }
    by_type!(kind, make)
}

pub(super) fn first(kind: &DataType) -> Option<Box<dyn ArrayKernel>> {
    macro_rules! make {
        ($type:ty) => {
            Box::new(FirstValueKernel::<$type>::new()) as Box<dyn ArrayKernel>
        };
    }
    by_type!(kind, make)
}

pub(super) fn greatest(kind: &DataType, frame: Frame) -> Option<Box<dyn ArrayKernel>> {
    macro_rules! make {
        ($type:ty) => {
            Box::new(FoldedFrames::<$type, crate::indicators::Greatest<<$type as ArrowPrimitiveType>::Native>>::new(
                frame,
            )) as Box<dyn ArrayKernel>
        };
    }
    by_type!(kind, make)
}

pub(super) fn least(kind: &DataType, frame: Frame) -> Option<Box<dyn ArrayKernel>> {
    macro_rules! make {
        ($type:ty) => {
            Box::new(FoldedFrames::<$type, crate::indicators::Least<<$type as ArrowPrimitiveType>::Native>>::new(frame))
                as Box<dyn ArrayKernel>
        };
    }
    by_type!(kind, make)
}
