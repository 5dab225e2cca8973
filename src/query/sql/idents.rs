//! Identifiers as SQL compares them: in any case, unless they stand in double quotes.

use datafusion::sql::sqlparser::ast::Ident;

/// What the identifier is called.
pub(in crate::query) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Whether the identifier is the one called `name`.
pub(in crate::query) fn is_called(ident: &Ident, name: &str) -> bool {
    match ident.quote_style {
        Some(_) => ident.value == name,
        None => ident.value.eq_ignore_ascii_case(name),
    }
}
