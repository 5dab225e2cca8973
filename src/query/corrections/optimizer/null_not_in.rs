//! `NULL NOT IN (SELECT ..)` is unknown unless there are no rows.
//!
//! DataFusion makes a join of it, whose condition on a NULL that it knows is false: it keeps all rows. And it keeps
//! rows in which an expression is NULL though its columns can't be, as `nullif(a, b)`: it asks the columns alone.
//!
//! Where neither side can be NULL, `x NOT IN (SELECT v .. WHERE k = outer.k)` is `NOT EXISTS`. DataFusion takes an
//! outer `k` that is NULL for a value that is.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result, plan_datafusion_err};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs once expressions are simplified and before subqueries become joins.
#[derive(Debug, Default)]
pub(in crate::query::corrections) struct NullNotIn;

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
    let is_correlated = !subquery.outer_ref_columns.is_empty();
    // A LIMIT says which rows, so no condition can move below it.
    let has_limit = subquery.subquery.exists(|plan| Ok(matches!(plan, LogicalPlan::Limit(_))))?;
    if is_correlated && !has_limit && !expr.nullable(schema)? {
        return not_exists(value, subquery, schema).map(Transformed::yes);
    }
    let has_no_row = Expr::Exists(Exists { subquery: subquery.clone(), negated: true });
    Ok(match value.as_ref() {
        Expr::Literal(value, _) if value.is_null() => Transformed::yes(has_no_row),
        Expr::Literal(..) | Expr::Column(_) => Transformed::no(expr),
        value if !is_correlated && value.nullable(schema)? => {
            Transformed::yes(value.clone().is_not_null().or(has_no_row).and(expr))
        }
        _ => Transformed::no(expr),
    })
}

/// No row of the subquery has the value.
fn not_exists(value: &Expr, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
    let mut outer_ref_columns = subquery.outer_ref_columns.clone();
    let value = value.clone().transform(|expr| {
        let Expr::Column(column) = expr else { return Ok(Transformed::no(expr)) };
        let outer = Expr::OuterReferenceColumn(Arc::clone(schema.field_from_column(&column)?), column);
        outer_ref_columns.push(outer.clone());
        Ok(Transformed::yes(outer))
    });
    let value = value?.data;
    let [found] =
        subquery.subquery.schema().columns().try_into().map_err(|_| plan_datafusion_err!("IN takes one column"))?;
    let with_value = Filter::try_new(Expr::Column(found).eq(value), Arc::clone(&subquery.subquery))?;
    let subquery = Subquery {
        subquery: Arc::new(LogicalPlan::Filter(with_value)),
        outer_ref_columns,
        spans: subquery.spans.clone(),
    };
    Ok(Expr::Exists(Exists { subquery, negated: true }))
}
