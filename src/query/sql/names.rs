//! Names of columns that a statement leaves unnamed: the text of their expression as it was typed, as in other
//! databases. The planner's own names have types and qualifiers in them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, VisitMut, VisitorMut};

pub(in crate::query) fn name_columns(statement: &mut impl VisitMut) {
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut ColumnNamer);
}

struct ColumnNamer;

impl VisitorMut for ColumnNamer {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name(&mut query.body);
        ControlFlow::Continue(())
    }
}

/// A set operation takes the names of its first part.
fn name(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => select.projection.iter_mut().for_each(name_item),
        SetExpr::SetOperation { left, .. } => name(left),
        // Queries in parentheses are visited by themselves, and the others have no expressions.
        _ => {}
    }
}

fn name_item(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expr) = item else { return };
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. }) {
        return;
    }
    let alias = Ident::with_quote('"', expr.to_string());
    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
}
