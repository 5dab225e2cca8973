//! Operators of whole numbers, which wrap, as functions that don't; and decimals that are checked for digits.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;
use crate::query::corrections::functions::checked::Arithmetic;
use crate::query::corrections::functions::decimal_digits::{has_no_digit_left, within_precision};

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
    Ok(match expr {
        Expr::BinaryExpr(binary) if is_of_decimals(&binary, schema)? => {
            Transformed::yes(within_precision(Expr::BinaryExpr(binary)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Arithmetic::of(op) {
            Some(arithmetic) if is_whole(&left, schema)? && is_whole(&right, schema)? => {
                Transformed::yes(arithmetic.over(vec![*left, *right]))
            }
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        Expr::Negative(operand) if is_whole(&operand, schema)? => {
            Transformed::yes(Arithmetic::Negate.over(vec![*operand]))
        }
        expr => Transformed::no(expr),
    })
}

fn is_whole(operand: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(operand.get_type(schema)?.is_integer())
}

fn is_of_decimals(binary: &BinaryExpr, schema: &DFSchema) -> Result<bool> {
    let is_arithmetic = matches!(binary.op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide);
    Ok(is_arithmetic && has_no_digit_left(&Expr::BinaryExpr(binary.clone()).get_type(schema)?))
}

/// Arguments of table functions are computed while the statement is planned, and before rules see them.
#[derive(Debug)]
pub(in crate::query::corrections) struct CheckedArguments;

impl ExprPlanner for CheckedArguments {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let arithmetic = match expr.op {
            BinaryOperator::Plus => Arithmetic::Add,
            BinaryOperator::Minus => Arithmetic::Subtract,
            BinaryOperator::Multiply => Arithmetic::Multiply,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let is_bigint = |operand: &Expr| operand.get_type(schema).is_ok_and(|kind| kind == DataType::Int64);
        if schema.fields().is_empty() && is_bigint(&expr.left) && is_bigint(&expr.right) {
            return Ok(PlannerResult::Planned(arithmetic.over(vec![expr.left, expr.right])));
        }
        Ok(PlannerResult::Original(expr))
    }
}
