//! `x IS TRUE`, `x IS NOT FALSE` and the like.
//!
//! The logical plan says that they are never NULL, the physical one that they may be, and the planner refuses a plan
//! whose two schemas differ. As IS [NOT] DISTINCT FROM, which is what the physical plan makes of them, both say the
//! same.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;

#[derive(Debug)]
pub(in crate::query::corrections) struct TruthAsDistinct;

impl AnalyzerRule for TruthAsDistinct {
    fn name(&self) -> &'static str {
        "truth_as_distinct"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, |expr, _| {
            let (operand, operator, value) = match expr {
                Expr::IsTrue(operand) => (operand, Operator::IsNotDistinctFrom, true),
                Expr::IsNotTrue(operand) => (operand, Operator::IsDistinctFrom, true),
                Expr::IsFalse(operand) => (operand, Operator::IsNotDistinctFrom, false),
                Expr::IsNotFalse(operand) => (operand, Operator::IsDistinctFrom, false),
                expr => return Ok(Transformed::no(expr)),
            };
            Ok(Transformed::yes(binary_expr(*operand, operator, lit(value))))
        })
    }
}
