//! Finds calls of indicator functions in a parsed statement, which other engines can't run.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, Visit, Visitor};

use super::function::IndicatorFunction;

/// The first indicator function that the statement calls as a window function.
pub(in crate::query) fn first_call(statement: &Statement) -> Option<&'static str> {
    match statement.visit(&mut IndicatorCalls) {
        ControlFlow::Break(name) => Some(name),
        ControlFlow::Continue(()) => None,
    }
}

struct IndicatorCalls;

impl Visitor for IndicatorCalls {
    type Break = &'static str;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = call.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
        let known = IndicatorFunction::ALL.iter().map(|function| function.name());
        match known.into_iter().find(|known| name.is_some_and(|name| name.eq_ignore_ascii_case(known))) {
            Some(known) if call.over.is_some() => ControlFlow::Break(known),
            _ => ControlFlow::Continue(()),
        }
    }
}
