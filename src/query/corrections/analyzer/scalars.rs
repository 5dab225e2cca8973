//! A subquery that is a value is NULL when it has no rows.
//!
//! DataFusion takes `(SELECT kafka_offset FROM ticks WHERE ..)` for never NULL, as its column isn't: `IS NULL` of it
//! became FALSE, and the other side of a `coalesce` was left out.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;
use crate::query::corrections::functions::opaque::opaque;
use crate::query::corrections::optimizer::global_aggregate_filters::always_has_a_row;

#[derive(Debug)]
pub(in crate::query::corrections) struct NoRowIsNull;

impl AnalyzerRule for NoRowIsNull {
    fn name(&self) -> &'static str {
        "no_row_is_null"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, nullable)
    }
}

fn nullable(expr: Expr, _: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(subquery) = expr else { return Ok(Transformed::no(expr)) };
    if subquery.subquery.schema().field(0).is_nullable() || is_of_one_row(&subquery.subquery) {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let mut columns: Vec<Expr> = subquery.subquery.schema().columns().into_iter().map(Expr::Column).collect();
    let (column, name) = (columns.swap_remove(0), subquery.subquery.schema().field(0).name().clone());
    let value = opaque(column, true).alias(name);
    let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(subquery.subquery)).project([value])?.build()?;
    Ok(Transformed::yes(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery })))
}

fn is_of_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_of_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_of_one_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && is_of_one_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => always_has_a_row(aggregate),
        _ => false,
    }
}
