//! `OVER (w ORDER BY ..)` with `WINDOW w AS (PARTITION BY ..)`: a window that adds to a named one gets what that one
//! says, before DataFusion sees it, which leaves the name out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, Select, SetExpr, VisitMut, VisitorMut,
    WindowSpec, WindowType, visit_expressions_mut,
};

use crate::query::error::QueryError;
use crate::query::sql::idents::folded;

/// # Errors
/// There is no window of the name, or both say the same clause.
pub(in crate::query) fn resolve(statement: &mut impl VisitMut) -> Result<(), QueryError> {
    match statement.visit(&mut WindowResolver) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(problem) => Err(QueryError::Usage(problem)),
    }
}

struct WindowResolver;

impl VisitorMut for WindowResolver {
    type Break = String;

    /// Subqueries come before the SELECT around them, so what is left of names is of its own windows.
    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        for at in 0..select.named_window.len() {
            let (known, rest) = select.named_window.split_at_mut(at);
            if let Some(NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) = rest.first_mut() {
                complete(spec, known)?;
            }
        }
        let windows = select.named_window.clone();
        complete_all(select, &windows)
    }

    /// The ORDER BY of a query stands outside of its SELECT.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        let windows = match query.body.as_ref() {
            SetExpr::Select(select) => select.named_window.as_slice(),
            _ => &[],
        };
        let Some(OrderByKind::Expressions(order)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
            return ControlFlow::Continue(());
        };
        order.iter_mut().try_for_each(|key| complete_all(&mut key.expr, windows))
    }
}

fn complete_all(part: &mut impl VisitMut, windows: &[NamedWindowDefinition]) -> ControlFlow<String> {
    visit_expressions_mut(part, |expr| match expr {
        Expr::Function(call) => match &mut call.over {
            Some(WindowType::WindowSpec(spec)) => complete(spec, windows),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    })
}

/// What the window that it names says, and then what it says itself, as in PostgreSQL.
fn complete(spec: &mut WindowSpec, windows: &[NamedWindowDefinition]) -> ControlFlow<String> {
    let Some(name) = spec.window_name.take() else { return ControlFlow::Continue(()) };
    let Some(base) = find(&name, windows) else {
        return ControlFlow::Break(format!("there is no window '{name}': write WINDOW {name} AS (..) behind the FROM"));
    };
    let twice = |clause| {
        ControlFlow::Break(format!("OVER ({name} ..) can't have a {clause}: {name} has one, or none may follow it"))
    };
    if !spec.partition_by.is_empty() {
        return twice("PARTITION BY");
    }
    let adds = !spec.order_by.is_empty() || spec.window_frame.is_some();
    if base.window_frame.is_some() && adds {
        return ControlFlow::Break(format!("OVER ({name} ..) can add nothing: {name} has a frame"));
    }
    spec.partition_by.clone_from(&base.partition_by);
    match (spec.order_by.is_empty(), base.order_by.is_empty()) {
        (false, false) => return twice("ORDER BY"),
        (true, _) => spec.order_by.clone_from(&base.order_by),
        (false, true) => {}
    }
    if spec.window_frame.is_none() {
        spec.window_frame.clone_from(&base.window_frame);
    }
    ControlFlow::Continue(())
}

fn find<'a>(name: &Ident, windows: &'a [NamedWindowDefinition]) -> Option<&'a WindowSpec> {
    let at = windows.iter().rposition(|NamedWindowDefinition(other, _)| folded(other) == folded(name))?;
    match &windows[at].1 {
        NamedWindowExpr::WindowSpec(spec) => Some(spec),
        NamedWindowExpr::NamedWindow(other) => find(other, &windows[..at]),
    }
}
