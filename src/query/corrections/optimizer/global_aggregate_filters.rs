//! Conditions without columns stay above an aggregate that always has a row.
//!
//! `SELECT count(*) .. HAVING FALSE`, or a join `ON FALSE` with one: DataFusion moves the condition below the
//! aggregate, which then counts no rows and still has a row. A grouping set of no columns, as of ROLLUP and CUBE, is
//! such an aggregate.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// In place of the rule of the same name.
#[derive(Debug, Default)]
pub(in crate::query::corrections) struct PushDownColumns(PushDownFilter);

impl OptimizerRule for PushDownColumns {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if is_a_row(&filter.input) => {
                let (conditions, input) = conditions_on_each_other(filter);
                let (of_columns, plain): (Vec<Expr>, Vec<Expr>) =
                    conditions.into_iter().partition(|condition| !condition.column_refs().is_empty());
                let Some(below) = conjunction(of_columns) else {
                    return filtered(plain, input).map(Transformed::no);
                };
                let below = LogicalPlan::Filter(Filter::try_new(below, input)?);
                let below = self.0.rewrite(below, config)?;
                let changed = below.transformed;
                let plan = filtered(plain, Arc::new(below.data))?;
                Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
            }
            plan => self.0.rewrite(plan, config),
        }
    }
}

/// Below filters, which DataFusion makes one of.
fn is_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => is_a_row(&filter.input),
        LogicalPlan::Aggregate(aggregate) => always_has_a_row(aggregate),
        _ => false,
    }
}

fn conditions_on_each_other(filter: Filter) -> (Vec<Expr>, Arc<LogicalPlan>) {
    let mut conditions = split_conjunction_owned(filter.predicate);
    let mut input = filter.input;
    while let LogicalPlan::Filter(below) = input.as_ref() {
        conditions.extend(split_conjunction_owned(below.predicate.clone()));
        input = Arc::clone(&below.input);
    }
    (conditions, input)
}

/// Without groups, or with a grouping set of none, there is a row of no rows.
pub(in crate::query::corrections) fn always_has_a_row(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)))
}

fn filtered(conditions: Vec<Expr>, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, input)?)),
        None => Ok(Arc::unwrap_or_clone(input)),
    }
}
