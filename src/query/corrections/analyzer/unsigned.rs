//! Differences of unsigned numbers, as those that `array_length` gives: 1 less 2 is -1, where DataFusion has
//! 18446744073709551615.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;

/// Runs before types are made equal, so that what stands above such a difference is made equal to it.
#[derive(Debug)]
pub(in crate::query::corrections) struct SignedDifferences;

impl AnalyzerRule for SignedDifferences {
    fn name(&self) -> &'static str {
        "signed_differences"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, signed)
    }
}

fn signed(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right })
            if left.get_type(schema)?.is_unsigned_integer() && right.get_type(schema)?.is_unsigned_integer() =>
        {
            let difference = binary_expr(cast(*left, DataType::Int64), Operator::Minus, cast(*right, DataType::Int64));
            Ok(Transformed::yes(difference))
        }
        expr => Ok(Transformed::no(expr)),
    }
}
