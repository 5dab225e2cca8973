//! `NULL NOT IN (SELECT ..)` is unknown unless there are no rows.
//!
//! DataFusion makes a join of it, whose condition on a NULL that it knows is false: it keeps all rows.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs once expressions are simplified and before subqueries become joins.
#[derive(Debug, Default)]
pub(super) struct NullNotIn;

impl OptimizerRule for NullNotIn {
    fn name(&self) -> &'static str {
        "null_not_in"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
        let predicate = filter.predicate.transform_up(|expr| Ok(without_rows(expr)))?;
        let input = filter.input;
        predicate.map_data(|predicate| Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
    }
}

fn without_rows(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::InSubquery(InSubquery { expr, subquery, negated: true }) if matches!(expr.as_ref(), Expr::Literal(value, _) if value.is_null()) => {
            Transformed::yes(Expr::Exists(Exists { subquery, negated: true }))
        }
        expr => Transformed::no(expr),
    }
}
