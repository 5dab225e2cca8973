//! Functions with their periods, and the kernels that they run as.

use std::num::NonZeroUsize;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;

use crate::indicators;
use crate::indicators::MacdPeriods;

/// Which column of a `Macd` a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum MacdPart {
    Macd,
    Signal,
    Histogram,
}

/// A function with its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum Indicator {
    Ema(NonZeroUsize),
    Rsi(NonZeroUsize),
    Macd(MacdPart, MacdPeriods),
    Atr(NonZeroUsize),
}

impl Indicator {
    pub(in crate::query) fn start(self) -> IndicatorState {
        match self {
            Self::Ema(rows) => IndicatorState::Ema(indicators::Ema::new(rows)),
            Self::Rsi(rows) => IndicatorState::Rsi(indicators::Rsi::new(rows)),
            Self::Macd(part, periods) => IndicatorState::Macd(part, Box::new(indicators::Macd::new(periods))),
            Self::Atr(rows) => IndicatorState::Atr(indicators::Atr::new(rows)),
        }
    }
}

/// The state after the rows so far of one partition of a window.
#[derive(Debug, Clone)]
pub(in crate::query) enum IndicatorState {
    Ema(indicators::Ema),
    Rsi(indicators::Rsi),
    Macd(MacdPart, Box<indicators::Macd>),
    Atr(indicators::Atr),
}

impl IndicatorState {
    /// Takes these rows of the input columns, which follow those before, and appends one value a row.
    pub(in crate::query) fn extend(
        &mut self,
        inputs: &[Float64Array],
        rows: Range<usize>,
        values: &mut Float64Builder,
    ) {
        let at = |input: usize, row: usize| inputs[input].is_valid(row).then(|| inputs[input].value(row));
        match self {
            Self::Ema(ema) => rows.for_each(|row| values.append_option(ema.push(at(0, row)))),
            Self::Rsi(rsi) => rows.for_each(|row| values.append_option(rsi.push(at(0, row)))),
            Self::Macd(part, macd) => rows.for_each(|row| {
                let found = macd.push(at(0, row)).map(|found| match part {
                    MacdPart::Macd => found.macd,
                    MacdPart::Signal => found.signal,
                    MacdPart::Histogram => found.histogram,
                });
                values.append_option(found);
            }),
            Self::Atr(atr) => rows.for_each(|row| {
                let range = indicators::PriceRange { high: at(0, row), low: at(1, row), close: at(2, row) };
                values.append_option(atr.push(range));
            }),
        }
    }
}

/// A numeric column as doubles.
///
/// # Errors
/// It is not numeric.
pub(in crate::query) fn doubles(column: &ArrayRef) -> Result<Float64Array, ArrowError> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}
