//! Windows that are equal once their constants are folded, such as `sum(100 % 2) OVER ()` and `sum(0) OVER ()`.
//!
//! DataFusion's elimination of common subexpressions moves such a window into a projection, where nothing can execute
//! it. Here it is computed once, and a projection above gives it its second name.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Window};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Runs once expressions are simplified and before common subexpressions are eliminated.
#[derive(Debug, Default)]
pub(in crate::query::corrections) struct EqualWindows;

impl OptimizerRule for EqualWindows {
    fn name(&self) -> &'static str {
        "equal_windows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Window(window) = &plan else { return Ok(Transformed::no(plan)) };
        let mut known = computed_below(&window.input);
        // One for each expression of this window: the column that has its value already.
        let mut values = Vec::with_capacity(window.window_expr.len());
        let mut kept = Vec::with_capacity(window.window_expr.len());
        for expr in &window.window_expr {
            let bare = expr.clone().unalias();
            let value = known.iter().find(|(other, _)| *other == bare).map(|(_, column)| column.clone());
            if value.is_none() {
                known.push((bare, column_of(expr)));
                kept.push(expr.clone());
            }
            values.push(value);
        }
        if kept.len() == values.len() {
            return Ok(Transformed::no(plan));
        }
        let mut columns: Vec<Expr> = window.input.schema().columns().into_iter().map(Expr::Column).collect();
        columns.extend(window.window_expr.iter().zip(values).map(|(expr, value)| match value {
            Some(column) => {
                let (relation, name) = expr.qualified_name();
                column.alias_qualified(relation, name)
            }
            None => column_of(expr),
        }));
        let input = match kept.is_empty() {
            true => Arc::clone(&window.input),
            false => Arc::new(LogicalPlan::Window(Window::try_new(kept, Arc::clone(&window.input))?)),
        };
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
    }
}

/// The column that an expression becomes in the schema of its plan.
fn column_of(expr: &Expr) -> Expr {
    let (relation, name) = expr.qualified_name();
    Expr::Column(Column::new(relation, name))
}

/// The windows right below a window, whose columns all pass through it, and their columns.
fn computed_below(mut input: &LogicalPlan) -> Vec<(Expr, Expr)> {
    let mut computed = Vec::new();
    while let LogicalPlan::Window(window) = input {
        computed.extend(window.window_expr.iter().map(|expr| (expr.clone().unalias(), column_of(expr))));
        input = &window.input;
    }
    computed
}
