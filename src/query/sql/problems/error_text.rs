//! The texts of DataFusion's errors, made readable.

use datafusion::common::DataFusionError;

/// The error below contexts, diagnostics and collections.
pub(in crate::query) fn innermost(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => innermost(inner),
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, innermost),
        other => other,
    }
}

/// The text of an error without DataFusion's word for its kind.
pub(in crate::query) fn first_lines(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    const KINDS: [&str; 9] = [
        "Error during planning: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Schema error: ",
        "Arrow error: ",
        "Parser error: ",
        "Cast error: ",
        "Resources exhausted: ",
        "Optimizer rule ",
    ];
    let mut text = text.as_str();
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    of_condition(text).unwrap_or_else(|| text.trim_end().to_owned())
}

/// What failed in a condition that the scan evaluates: DataFusion has the debug text of the error in the text of
/// another one.
fn of_condition(text: &str) -> Option<String> {
    let (_, debug) = text.split_once("Error evaluating filter predicate: Execution(\"")?;
    let inner = debug.trim_end().strip_suffix("\")")?;
    Some(inner.replace("\\n", "\n").replace("\\'", "'").replace("\\\"", "\""))
}

pub(in crate::query) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An acronym or a constant keeps its capitals.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
