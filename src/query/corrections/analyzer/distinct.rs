//! Refuses DISTINCT where DataFusion accepts and ignores it.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;

#[derive(Debug)]
pub(in crate::query::corrections) struct NoIgnoredDistinct;

impl AnalyzerRule for NoIgnoredDistinct {
    fn name(&self) -> &'static str {
        "no_ignored_distinct"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| match ignores_distinct(expr) {
                    Some(name) => plan_err!(
                        "DISTINCT is not supported in {name}\nwrite {name} over a subquery that is SELECT DISTINCT"
                    ),
                    None => Ok(TreeNodeRecursion::Continue),
                })
            })
        })?;
        Ok(plan)
    }
}

/// The name of the function if it has a DISTINCT that changes nothing.
fn ignores_distinct(expr: &Expr) -> Option<&str> {
    let of_several = |name: &str| {
        matches!(name, "corr" | "covar_samp" | "covar_pop" | "approx_median")
            || name.starts_with("regr_")
            || name.starts_with("approx_percentile_cont")
    };
    match expr {
        Expr::AggregateFunction(call) if call.params.distinct => Some(call.func.name()).filter(|name| of_several(name)),
        Expr::WindowFunction(call) if call.params.distinct => match &call.fun {
            WindowFunctionDefinition::WindowUDF(function) => Some(function.name()),
            WindowFunctionDefinition::AggregateUDF(function) => Some(function.name()).filter(|name| of_several(name)),
        },
        _ => None,
    }
}
