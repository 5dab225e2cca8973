//! `$range` in the text of a named query: the rows that are shown, of those that are read.
//!
//! Without bounds, the AND-terms that have it are left out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, Statement as SqlStatement, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::query::named::warm_up::RANGE;

/// Replaces `$range` by the condition.
pub(in crate::query) fn show(statement: &mut SqlStatement, condition: Option<Expr>) {
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = match condition {
        Some(condition) => statement.visit(&mut RangeFiller { condition: Expr::Nested(Box::new(condition)) }),
        None => statement.visit(&mut RangeRemover),
    };
}

fn is_range(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => {
            matches!(&value.value, Value::Placeholder(text) if text.strip_prefix('$') == Some(RANGE))
        }
        _ => false,
    }
}

struct RangeFiller {
    condition: Expr,
}

impl VisitorMut for RangeFiller {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if is_range(expr) {
            *expr = self.condition.clone();
        }
        ControlFlow::Continue(())
    }
}

struct RangeRemover;

impl VisitorMut for RangeRemover {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.selection = select.selection.take().and_then(without_range);
            select.having = select.having.take().and_then(without_range);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if is_range(expr) {
            *expr = Expr::value(Value::Boolean(true));
        }
        ControlFlow::Continue(())
    }
}

/// The AND-terms that don't have `$range`.
fn without_range(expr: Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            match (without_range(*left), without_range(*right)) {
                (Some(left), Some(right)) => {
                    Some(Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) })
                }
                (left, right) => left.or(right),
            }
        }
        expr => (!has_range(&expr)).then_some(expr),
    }
}

fn has_range(expr: &Expr) -> bool {
    struct RangeFinder;
    impl Visitor for RangeFinder {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if is_range(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    expr.visit(&mut RangeFinder).is_break()
}
