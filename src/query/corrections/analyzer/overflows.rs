//! Operators of whole numbers, which wrap, as functions that don't.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;
use crate::query::corrections::functions::checked::Arithmetic;

/// Runs once both sides of an operator have one type.
#[derive(Debug)]
pub(in crate::query::corrections) struct CheckedNumbers;

impl AnalyzerRule for CheckedNumbers {
    fn name(&self) -> &'static str {
        "checked_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, checked)
    }
}

fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_whole =
        |operand: &Expr| Ok::<_, datafusion::common::DataFusionError>(operand.get_type(schema)?.is_integer());
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Arithmetic::of(op) {
            Some(arithmetic) if is_whole(&left)? && is_whole(&right)? => {
                Transformed::yes(arithmetic.over(vec![*left, *right]))
            }
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        Expr::Negative(operand) if is_whole(&operand)? => Transformed::yes(Arithmetic::Negate.over(vec![*operand])),
        expr => Transformed::no(expr),
    })
}
