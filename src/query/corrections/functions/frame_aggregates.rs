//! Aggregate functions over the frames of windows.
//!
//! DataFusion subtracts what leaves a frame. In doubles that leaves a residue: 1e9 that left still costs 1.2e-6 its
//! last digits, and a NaN stays for ever. It also takes the column of such a window for sorted: `max` over a growing
//! frame, even where NULLs come first or where the rows are sorted the other way round, so that an ORDER BY above it
//! sorts nothing.
//!
//! An analyzer rule puts [`OverFrames`] around each aggregate function of a window. It claims no order, and it has
//! accumulators that never subtract doubles.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, LogicalPlan, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::functions::sliding::{self, StateQueue};

/// Puts [`OverFrames`] around the aggregate functions of windows.
#[derive(Debug)]
pub(in crate::query::corrections) struct NoResidue;

impl AnalyzerRule for NoResidue {
    fn name(&self) -> &'static str {
        "no_residue"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let exprs = |plan: LogicalPlan| plan.map_expressions(|expr| expr.transform_up(|expr| Ok(wrapped(expr))));
        plan.transform_up_with_subqueries(exprs).data()
    }
}

fn wrapped(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(inner) if !inner.inner().is::<OverFrames>() => {
                let fun = WindowFunctionDefinition::AggregateUDF(Arc::new(over_frames(inner)));
                Transformed::yes(Expr::WindowFunction(Box::new(WindowFunction { fun, params: window.params })))
            }
            _ => Transformed::no(Expr::WindowFunction(window)),
        },
        expr => Transformed::no(expr),
    }
}

fn over_frames(inner: &Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::from(OverFrames { inner: Arc::clone(inner) })
}

/// An aggregate function, as it is but for what windows do with it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OverFrames {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for OverFrames {
    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let plain = !arguments.is_distinct && arguments.order_bys.is_empty();
        let doubles = arguments.expr_fields.iter().all(|field| field.data_type() == &DataType::Float64);
        if plain && doubles {
            if let Some(folded) = sliding::folded(self.inner.name()) {
                return Ok(folded);
            }
            if sliding::has_residue(self.inner.name()) {
                return Ok(Box::new(StateQueue::new(Arc::clone(&self.inner), &arguments)?));
            }
        }
        let name = self.inner.name();
        if arguments.order_bys.is_empty() && sliding::joins_states(name, arguments.is_distinct) {
            return Ok(Box::new(StateQueue::new(Arc::clone(&self.inner), &arguments)?));
        }
        let accumulator = self.inner.create_sliding_accumulator(arguments)?;
        if !accumulator.supports_retract_batch() {
            return exec_err!(
                "{name} over a frame that rows leave is not supported\n\
                 begin the frame with UNBOUNDED PRECEDING, or join the rows of each frame and write {name} with GROUP \
                 BY"
            );
        }
        Ok(accumulator)
    }

    /// It depends on NULLs, on FILTER and on the order of the rows, which DataFusion does not ask for.
    fn set_monotonicity(&self, _: &DataType) -> SetMonotonicity {
        SetMonotonicity::NotMonotonic
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(reversed) => ReversedUDAF::Reversed(Arc::new(over_frames(&reversed))),
            as_it_is => as_it_is,
        }
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(beneficial)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: Arc::new(inner) }) as Arc<dyn AggregateUDFImpl>))
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(arguments)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(kind)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
