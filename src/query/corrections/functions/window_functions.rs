//! Window functions in place of DataFusion's of the same names.
//!
//! - DataFusion's evaluators that go through a partition piece by piece lose count of NULLs: `lead(v, 2) IGNORE NULLS`
//!   gives NULL before a gap. Those that see the whole partition are right, so with IGNORE NULLS they get it. `lead`
//!   and `lag` also understate how many rows they read ahead: a negative distance of `lag` and IGNORE NULLS are not
//!   counted.
//! - `lag(v, NULL)` had the distance 1, and `lag(n, 1, 0.5)` the default 0: both are refused.
//! - `row_number`, `rank`, `dense_rank` and `ntile` are unsigned there: 1 less 2 was 18446744073709551615. Here they
//!   are BIGINT.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{SortOptions, cast};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_window::lead_lag::{lag_udwf, lead_udwf};
use datafusion::functions_window::nth_value::{first_value_udwf, last_value_udwf, nth_value_udwf};
use datafusion::functions_window::ntile::ntile_udwf;
use datafusion::functions_window::rank::{dense_rank_udwf, rank_udwf};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

pub(in crate::query::corrections) fn window_functions() -> Vec<Arc<WindowUDF>> {
    let readers = [lead_udwf(), lag_udwf(), first_value_udwf(), last_value_udwf(), nth_value_udwf()];
    let counters = [row_number_udwf(), rank_udwf(), dense_rank_udwf(), ntile_udwf()];
    let readers = readers.iter().map(|inner| replaced(inner, FunctionKind::Reader));
    readers.chain(counters.iter().map(|inner| replaced(inner, FunctionKind::Counter))).collect()
}

fn replaced(inner: &Arc<WindowUDF>, kind: FunctionKind) -> Arc<WindowUDF> {
    let signature = match inner.name() {
        "lead" | "lag" => Signature::user_defined(inner.signature().volatility),
        _ => inner.signature().clone(),
    };
    Arc::new(WindowUDF::from(CorrectedFunction { inner: Arc::clone(inner), kind, signature }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum FunctionKind {
    /// Reads values of other rows: sees all of a partition at once where it ignores NULLs.
    Reader,
    /// Counts rows: its numbers are signed.
    Counter,
}

/// A window function, as it is but for what its kind says.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CorrectedFunction {
    inner: Arc<WindowUDF>,
    kind: FunctionKind,
    signature: Signature,
}

impl WindowUDFImpl for CorrectedFunction {
    fn partition_evaluator(&self, arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let ignores_nulls = arguments.ignore_nulls();
        let inner = self.inner.partition_evaluator_factory(arguments)?;
        Ok(match self.kind {
            FunctionKind::Reader if ignores_nulls => Box::new(WholePartition(inner)),
            FunctionKind::Reader => inner,
            FunctionKind::Counter => Box::new(SignedRanks(inner)),
        })
    }

    fn limit_effect(&self, arguments: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        match self.kind {
            FunctionKind::Reader => LimitEffect::Unknown,
            FunctionKind::Counter => self.inner.inner().limit_effect(arguments),
        }
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.inner.reverse_expr() {
            ReversedUDWF::Reversed(reversed) => ReversedUDWF::Reversed(replaced(&reversed, self.kind)),
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
        let field = self.inner.field(arguments)?;
        Ok(match self.kind {
            FunctionKind::Reader => field,
            FunctionKind::Counter => Arc::new(Field::new(field.name(), DataType::Int64, field.is_nullable())),
        })
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner.sort_options()
    }

    /// Asked of `lead` and `lag` alone.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.inner.name();
        match types {
            [_, DataType::Null, ..] => plan_err!("the distance of {name} is a whole number, not NULL"),
            [value, _, default] if value.is_integer() && !(default.is_integer() || default.is_null()) => {
                plan_err!(
                    "the default of {name} is a whole number, as its values are: write CAST(value AS DOUBLE) for others"
                )
            }
            [_] | [_, _] | [_, _, _] => Ok(types.to_vec()),
            _ => plan_err!("{name} takes a value, a distance and a default"),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug)]
struct WholePartition(Box<dyn PartitionEvaluator>);

impl PartitionEvaluator for WholePartition {
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

#[derive(Debug)]
struct SignedRanks(Box<dyn PartitionEvaluator>);

impl PartitionEvaluator for SignedRanks {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.0.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.0.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.0.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        Ok(cast(&self.0.evaluate_all(values, rows)?, &DataType::Int64)?)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.0.evaluate(values, range)?.cast_to(&DataType::Int64)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        Ok(cast(&self.0.evaluate_all_with_rank(rows, ranks)?, &DataType::Int64)?)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.0.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.0.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.0.include_rank()
    }
}
