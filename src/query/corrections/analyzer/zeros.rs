//! Normalizes -0.0 to 0.0 where DataFusion compares bits.
//!
//! -0.0 equals 0.0, but not where DataFusion compares bits: as a key of a join, in IN, DISTINCT, NULLIF, PARTITION BY
//! and among the peers of an ORDER BY. So what can make a negative zero makes a plain one: `x + 0.0` is `x`, or 0.0 of
//! -0.0.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;

/// Functions that may give -0.0.
const ROUNDINGS: [&str; 4] = ["round", "ceil", "trunc", "signum"];

#[derive(Debug)]
pub(in crate::query::corrections) struct OneZero;

impl AnalyzerRule for OneZero {
    fn name(&self) -> &'static str {
        "one_zero"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, one_zero)
    }
}

fn one_zero(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), metadata) if value == 0.0 && value.is_sign_negative() => {
            Transformed::yes(Expr::Literal(ScalarValue::Float64(Some(0.0)), metadata))
        }
        Expr::Negative(operand) if operand.get_type(schema)? == DataType::Float64 => {
            Transformed::yes(binary_expr(lit(0.0), Operator::Minus, *operand))
        }
        expr if may_be_negative(&expr, schema)? && expr.get_type(schema)? == DataType::Float64 => {
            Transformed::yes(binary_expr(expr, Operator::Plus, lit(0.0)))
        }
        expr => Transformed::no(expr),
    })
}

fn may_be_negative(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(op, Operator::Multiply | Operator::Divide | Operator::Modulo)
        }
        Expr::ScalarFunction(call) => ROUNDINGS.contains(&call.name()),
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => expr.get_type(schema)?.is_string(),
        _ => false,
    })
}
