//! `NULL NOT IN (SELECT ..)` is unknown unless there are no rows.
//!
//! DataFusion makes a join of it, whose condition on a NULL that it knows is false: it keeps all rows. And it keeps rows in which
//! an expression is NULL though its columns can't be, as `nullif(a, b)`: it asks the columns alone.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan};
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
        let input = filter.input;
        let predicate = filter.predicate.transform_up(|expr| without_nulls(expr, input.schema()))?;
        predicate.map_data(|predicate| Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
    }
}

fn without_nulls(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::InSubquery(InSubquery { expr: value, subquery, negated: true }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let has_no_row = Expr::Exists(Exists { subquery: subquery.clone(), negated: true });
    Ok(match value.as_ref() {
        Expr::Literal(value, _) if value.is_null() => Transformed::yes(has_no_row),
        Expr::Literal(..) | Expr::Column(_) => Transformed::no(expr),
        value if subquery.outer_ref_columns.is_empty() && value.nullable(schema)? => {
            Transformed::yes(value.clone().is_not_null().or(has_no_row).and(expr))
        }
        _ => Transformed::no(expr),
    })
}
