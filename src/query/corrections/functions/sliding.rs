//! Accumulators of doubles over a frame that slides, in which nothing is ever subtracted.
//!
//! A window gives its values in order and takes them back in the same order: a queue. NULLs enter and leave without a
//! trace.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{and, filter, is_not_null};
use datafusion::arrow::datatypes::{FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalExpr;

use crate::indicators::{Fold, FoldQueue, Moments, MomentsState, Sum};

type Evaluate<S> = fn(S, u64) -> Option<f64>;

/// The accumulator of a function that a fold of `indicators` computes.
pub(in crate::query::corrections) fn folded(name: &str) -> Option<Box<dyn Accumulator>> {
    fn of<F>(evaluate: Evaluate<F::State>) -> Option<Box<dyn Accumulator>>
    where
        F: Fold<Value = f64, State: Send + Sync> + fmt::Debug + 'static,
    {
        Some(Box::new(FoldedQueue::<F> { queue: FoldQueue::default(), evaluate }))
    }
    let sample: Evaluate<MomentsState> = |state, _| state.sample_variance();
    let population: Evaluate<MomentsState> = |state, _| state.population_variance();
    match name {
        "sum" => of::<Sum>(|sum, count| (count > 0).then_some(sum)),
        "avg" => of::<Sum>(|sum, count| (count > 0).then(|| sum / count as f64)),
        "var" => of::<Moments>(sample),
        "var_pop" => of::<Moments>(population),
        "stddev" => of::<Moments>(|state, _| state.sample_variance().map(f64::sqrt)),
        "stddev_pop" => of::<Moments>(|state, _| state.population_variance().map(f64::sqrt)),
        _ => None,
    }
}

/// Functions that leave out NULLs, with states that can be read again and again. DataFusion can't take rows out of
/// them.
pub(in crate::query::corrections) fn joins_states(name: &str, is_distinct: bool) -> bool {
    match name {
        "bool_and" | "bool_or" | "bit_and" | "bit_or" => true,
        "sum" | "avg" => is_distinct,
        _ => false,
    }
}

/// Functions of two columns that DataFusion computes from sums of doubles; their states are of a few numbers.
pub(in crate::query::corrections) fn has_residue(name: &str) -> bool {
    matches!(name, "corr" | "covar_samp" | "covar_pop") || name.starts_with("regr_")
}

struct FoldedQueue<F: Fold> {
    queue: FoldQueue<F>,
    evaluate: Evaluate<F::State>,
}

impl<F: Fold> fmt::Debug for FoldedQueue<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldedQueue").field("values", &self.queue.len()).finish_non_exhaustive()
    }
}

impl<F> Accumulator for FoldedQueue<F>
where
    F: Fold<Value = f64, State: Send + Sync> + 'static,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.queue.push(F::of(value)));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        (values[0].null_count()..values[0].len()).for_each(|_| self.queue.pop());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.evaluate)(self.queue.fold(), self.queue.len() as u64)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.queue.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        only_in_windows()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        only_in_windows()
    }
}

fn only_in_windows<T>() -> Result<T> {
    internal_err!("the accumulator of a window has no partial state")
}

/// A queue of rows whose states DataFusion's own accumulator makes and merges.
pub(in crate::query::corrections) struct StateQueue {
    call: AggregateCall,
    /// Rows that entered since the older ones were folded: batches of rows without NULLs.
    newer: Vec<Vec<ArrayRef>>,
    /// Over the newer rows.
    head: Box<dyn Accumulator>,
    /// For each older row the state from it to the last of them; the oldest is the last.
    older: Vec<Vec<ScalarValue>>,
}

impl StateQueue {
    pub(in crate::query::corrections) fn new(function: Arc<AggregateUDF>, arguments: &AccumulatorArgs) -> Result<Self> {
        let call = AggregateCall {
            function,
            return_field: Arc::clone(&arguments.return_field),
            is_distinct: arguments.is_distinct,
            schema: arguments.schema.clone(),
            exprs: arguments.exprs.to_vec(),
            expr_fields: arguments.expr_fields.to_vec(),
            name: arguments.name.to_owned(),
        };
        let head = call.start()?;
        Ok(Self { call, newer: Vec::new(), head, older: Vec::new() })
    }

    fn turn(&mut self) -> Result<()> {
        let mut tail = self.call.start()?;
        for batch in std::mem::take(&mut self.newer).iter().rev() {
            for row in (0..batch[0].len()).rev() {
                let row: Vec<ArrayRef> = batch.iter().map(|column| column.slice(row, 1)).collect();
                tail.update_batch(&row)?;
                self.older.push(tail.state()?);
            }
        }
        self.head = self.call.start()?;
        Ok(())
    }
}

impl fmt::Debug for StateQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedStates").field("function", &self.call.name).finish_non_exhaustive()
    }
}

impl Accumulator for StateQueue {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = known_rows(values)?;
        if !rows[0].is_empty() {
            self.head.update_batch(&rows)?;
            self.newer.push(rows);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for _ in 0..known_rows(values)?[0].len() {
            if self.older.is_empty() {
                self.turn()?;
            }
            self.older.pop();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = self.call.start()?;
        for state in self.older.last().cloned().into_iter().chain([self.head.state()?]) {
            let state: Vec<ArrayRef> = state.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
            all.merge_batch(&state)?;
        }
        all.evaluate()
    }

    fn size(&self) -> usize {
        let newer = self.newer.iter().flatten().map(|column| column.get_array_memory_size()).sum::<usize>();
        let older = self.older.iter().flatten().map(ScalarValue::size).sum::<usize>();
        size_of_val(self) + self.head.size() + newer + older
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        only_in_windows()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        only_in_windows()
    }
}

/// Rows none of whose columns is NULL.
fn known_rows(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let mut known = is_not_null(&columns[0])?;
    for column in &columns[1..] {
        known = and(&known, &is_not_null(column)?)?;
    }
    Ok(columns.iter().map(|column| filter(column, &known)).collect::<Result<_, _>>()?)
}

/// All that makes accumulators of one call.
struct AggregateCall {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    is_distinct: bool,
    schema: Schema,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
    name: String,
}

impl AggregateCall {
    fn start(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}
