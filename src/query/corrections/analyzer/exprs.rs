//! Rewrites expressions of a plan that was analyzed.

use std::cell::Cell;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The plan with each expression replaced by what `rewrite` makes of it, from the leaves up. Columns keep their names.
///
/// # Errors
/// As `rewrite`.
pub(in crate::query::corrections) fn rewrite_exprs(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    // Whether a column can be NULL may change, above the expression as well.
    let changed = Cell::new(false);
    let one_plan = |plan: LogicalPlan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| rewrite(expr, &schema))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?;
        changed.set(changed.get() || plan.transformed);
        if changed.get() { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
    };
    plan.transform_up_with_subqueries(one_plan).data()
}
