//! The functions as DataFusion knows them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Float64Builder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs};
use datafusion::logical_expr::{Expr, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use super::function::IndicatorFunction;
use super::running::{Indicator, doubles};

/// All of them.
pub(in crate::query) fn window_functions() -> Vec<Arc<WindowUDF>> {
    IndicatorFunction::ALL.map(|function| Arc::new(WindowUDF::from(IndicatorUdwf::new(function)))).into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::query) struct IndicatorUdwf {
    function: IndicatorFunction,
    signature: Signature,
}

impl IndicatorUdwf {
    fn new(function: IndicatorFunction) -> Self {
        Self { function, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The arguments that are columns, and what runs over them.
    ///
    /// # Errors
    /// A period is no literal, or no number of rows.
    pub(in crate::query) fn split<'a>(
        &self,
        arguments: &'a [Arc<dyn PhysicalExpr>],
    ) -> Result<(&'a [Arc<dyn PhysicalExpr>], Indicator)> {
        let inputs = self.function.inputs().len().min(arguments.len());
        let (inputs, periods) = arguments.split_at(inputs);
        let literals: Vec<Option<&ScalarValue>> =
            periods.iter().map(|period| period.downcast_ref::<Literal>().map(Literal::value)).collect();
        let indicator = self.function.with_periods(&literals).map_err(DataFusionError::Plan)?;
        Ok((inputs, indicator))
    }
}

impl WindowUDFImpl for IndicatorUdwf {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Nothing is coerced: [`Self::field`] says what is wrong in words of its own.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        let types: Vec<&DataType> = arguments.input_fields().iter().map(|field| field.data_type()).collect();
        self.function.check_types(&types).map_err(DataFusionError::Plan)?;
        Ok(Arc::new(Field::new(arguments.name(), DataType::Float64, true)))
    }

    /// Simplifies nothing: this is where a call can be refused before it runs.
    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        let function = self.function;
        Some(Box::new(move |call, _| check(function, &call).map(|()| Expr::from(call)).map_err(DataFusionError::Plan)))
    }

    fn partition_evaluator(&self, arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let (inputs, indicator) = self.split(arguments.input_exprs())?;
        Ok(Box::new(IndicatorEvaluator { indicator, inputs: inputs.len() }))
    }
}

fn check(function: IndicatorFunction, call: &WindowFunction) -> Result<(), String> {
    let params = &call.params;
    let literals: Vec<Option<&ScalarValue>> =
        params.args.iter().skip(function.inputs().len()).map(Expr::as_literal).collect();
    function.with_periods(&literals)?;
    if params.order_by.is_empty() {
        return Err(function.needs_order());
    }
    if params.filter.is_some() || params.distinct {
        return Err(format!("{} takes neither DISTINCT nor FILTER: filter the rows below it", function.name()));
    }
    Ok(())
}

#[derive(Debug)]
struct IndicatorEvaluator {
    indicator: Indicator,
    inputs: usize,
}

impl PartitionEvaluator for IndicatorEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let inputs: Vec<Float64Array> = values.iter().take(self.inputs).map(doubles).collect::<Result<_, _>>()?;
        let mut found = Float64Builder::with_capacity(rows);
        self.indicator.start().extend(&inputs, 0..rows, &mut found);
        Ok(Arc::new(found.finish()))
    }
}
