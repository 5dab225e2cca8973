//! INTERSECT ALL and EXCEPT ALL.
//!
//! DataFusion plans them as joins that keep each row, or none of its kind, as often as it is on the left side:
//! `{1, 1} EXCEPT ALL {1}` is empty in place of `{1}`. Here equal rows of both sides are numbered first, and the number
//! is a key of the join.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, col};
use datafusion::optimizer::AnalyzerRule;

/// Names of the numbers, which no statement has.
const NUMBERS: [&str; 2] = ["__left_copy", "__right_copy"];

#[derive(Debug)]
pub(in crate::query::corrections) struct CountEqualRows;

impl AnalyzerRule for CountEqualRows {
    fn name(&self) -> &'static str {
        "count_equal_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = |plan: LogicalPlan| match plan {
            LogicalPlan::Join(join) if is_of_all(&join) => counted(join).map(Transformed::yes),
            plan => Ok(Transformed::no(plan)),
        };
        plan.transform_up_with_subqueries(counted).data()
    }
}

/// A set operation with ALL; without it, the left side is DISTINCT. No join of a statement takes NULL for equal to NULL
/// yet.
fn is_of_all(join: &Join) -> bool {
    let is_set = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti);
    is_set
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let [left, right] = [(join.left, NUMBERS[0]), (join.right, NUMBERS[1])].map(|(side, name)| {
        let columns = side.schema().columns().into_iter().map(Expr::Column).collect();
        let number = row_number().partition_by(columns).build()?;
        let name_of_window = number.schema_name().to_string();
        let mut shown: Vec<Expr> = side.schema().columns().into_iter().map(Expr::Column).collect();
        shown.push(Expr::Column(Column::from_name(name_of_window)).alias(name));
        LogicalPlanBuilder::from(side).window([number])?.project(shown)?.build().map(Arc::new)
    });
    let mut on = join.on;
    on.push((col(NUMBERS[0]), col(NUMBERS[1])));
    let join = Join::try_new(
        left?,
        right?,
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(join)).project(columns)?.build()
}
