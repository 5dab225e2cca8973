//! The indicator functions over columns: each holds the state of all symbols of a partition.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Float64Builder};
use arrow::error::ArrowError;

use super::symbols::SymbolRun;
use crate::query::operators::indicators::{Indicator, IndicatorState, doubles};

#[derive(Debug)]
pub(super) struct IndicatorKernel {
    indicator: Indicator,
    symbols: Vec<IndicatorState>,
}

impl IndicatorKernel {
    pub(super) fn new(indicator: Indicator) -> Self {
        Self { indicator, symbols: Vec::new() }
    }

    /// # Errors
    /// An argument is no column of numbers.
    pub(super) fn extend(
        &mut self,
        arguments: &[&ArrayRef],
        runs: &[SymbolRun],
        symbols: usize,
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        let indicator = self.indicator;
        self.symbols.resize_with(symbols, || indicator.start());
        let arguments: Vec<Float64Array> =
            arguments.iter().map(|argument| doubles(argument)).collect::<Result<_, _>>()?;
        let mut values = Float64Builder::with_capacity(rows);
        for run in runs {
            if run.starts_window {
                self.symbols[run.symbol] = indicator.start();
            }
            self.symbols[run.symbol].extend(&arguments, run.rows.clone(), &mut values);
        }
        Ok(Arc::new(values.finish()))
    }
}
