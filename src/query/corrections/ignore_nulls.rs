//! Window functions with IGNORE NULLS.
//!
//! DataFusion's evaluators that go through a partition piece by piece lose count of NULLs: `lead(v, 2) IGNORE NULLS` gives NULL
//! before a gap. Those that see the whole partition are right, so with IGNORE NULLS they get it. `lead` and `lag` also understate
//! how many rows they read ahead: a negative distance of `lag` and IGNORE NULLS are not counted. And they cast their default to
//! the type of their values, so that -1 is refused where these are numbers of rows, as `ntile` gives them.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::functions_window::nth_value::{first_value_udwf, last_value_udwf, nth_value_udwf};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

/// In place of DataFusion's of the same names.
pub(super) fn window_functions() -> [Arc<WindowUDF>; 5] {
    [lead_udwf(), lag_udwf(), first_value_udwf(), last_value_udwf(), nth_value_udwf()].map(|inner| whole(&inner))
}

fn whole(inner: &Arc<WindowUDF>) -> Arc<WindowUDF> {
    let signature = match inner.name() {
        "lead" | "lag" => Signature::user_defined(inner.signature().volatility),
        _ => inner.signature().clone(),
    };
    Arc::new(WindowUDF::from(WholePartition { inner: Arc::clone(inner), signature }))
}

/// A window function that sees all of a partition at once where it ignores NULLs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WholePartition {
    inner: Arc<WindowUDF>,
    signature: Signature,
}

impl WindowUDFImpl for WholePartition {
    fn partition_evaluator(&self, arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let whole = arguments.ignore_nulls();
        let inner = self.inner.partition_evaluator_factory(arguments)?;
        Ok(if whole { Box::new(WholePartitionEvaluator(inner)) } else { inner })
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.inner.reverse_expr() {
            ReversedUDWF::Reversed(reversed) => ReversedUDWF::Reversed(whole(&reversed)),
            as_it_is => as_it_is,
        }
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn expressions(&self, arguments: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(arguments)
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        self.inner.simplify()
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.inner.field(arguments)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner.sort_options()
    }

    /// Asked of `lead` and `lag` alone.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = types.to_vec();
        match types.as_mut_slice() {
            [value, _, default] if value.is_unsigned_integer() && default.is_signed_integer() => {
                *value = DataType::Int64
            }
            [_] | [_, _] | [_, _, _] => {}
            _ => return plan_err!("{} takes a value, a distance and a default", self.inner.name()),
        }
        Ok(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug)]
struct WholePartitionEvaluator(Box<dyn PartitionEvaluator>);

impl PartitionEvaluator for WholePartitionEvaluator {
    fn supports_bounded_execution(&self) -> bool {
        false
    }

    fn memoize(&mut self, _: &mut WindowAggState) -> Result<()> {
        Ok(())
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.0.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.0.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.0.evaluate_all(values, rows)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.0.evaluate(values, range)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        self.0.evaluate_all_with_rank(rows, ranks)
    }

    fn uses_window_frame(&self) -> bool {
        self.0.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.0.include_rank()
    }
}
