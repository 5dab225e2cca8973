//! Errors of a text that doesn't parse: where they are, and what was probably meant.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::query::sql::problems::error_text::{innermost, lower_first};
use crate::query::sql::problems::problem::SqlProblem;
use crate::query::sql::problems::source_location::SourceLocation;
use crate::util::suggest::{closest, did_you_mean};

/// Words that are often mistyped where the grammar expects something else.
const KEYWORDS: [&str; 13] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "JOIN",
    "WITH",
    "UNION",
    "EXPLAIN",
    "WINDOW",
    "PARTITION",
];
const TAKE_BY: [&str; 3] = ["GROUP", "ORDER", "PARTITION"];

impl SqlProblem {
    /// A text that doesn't parse.
    pub(in crate::query) fn syntax(sql: &str, error: &DataFusionError) -> Self {
        let text = innermost(error).strip_backtrace();
        let text = text.lines().next().unwrap_or_default();
        let text = text.strip_prefix("SQL error: ").unwrap_or(text);
        let inner = ["ParserError(\"", "TokenizerError(\""].iter().find_map(|prefix| text.strip_prefix(prefix));
        let text = inner.and_then(|inner| inner.strip_suffix("\")")).unwrap_or(text).replace("\\\"", "\"");
        let (message, location) = split_location(&text);
        let hints = if text.contains("RecursionLimitExceeded") {
            vec!["the statement is nested too deeply: use WITH for its parts".to_owned()]
        } else {
            Vec::new()
        };
        let source_location = match location {
            Some(at) => SourceLocation::of_word_at(sql, at),
            None if message.ends_with("found: EOF") => SourceLocation::of_end(sql),
            None => None,
        };
        let found = message.rsplit_once("found: ").map_or("", |(_, found)| found);
        let hint = match KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(found)) {
            Some(keyword) if TAKE_BY.contains(keyword) => format!("; write {keyword} BY"),
            Some(_) => String::new(),
            None => match did_you_mean(found, KEYWORDS) {
                hint if hint.is_empty() && message.contains("end of statement") => {
                    misspelt_before(source_location.as_ref())
                }
                hint => hint,
            },
        };
        let message = message.replace("\\\\", "\\");
        Self { message: format!("{}{hint}", lower_first(&message)), source_location, hints }
    }
}

/// `SELECT 1 FORM ticks` reads FORM as the name of the column.
fn misspelt_before(source_location: Option<&SourceLocation>) -> String {
    let before = source_location.and_then(SourceLocation::word_before).unwrap_or_default();
    if KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(&before)) {
        return String::new();
    }
    closest(&before, KEYWORDS).map(|keyword| format!("; did you mean '{keyword}' by '{before}'?")).unwrap_or_default()
}

/// `message at Line: 1, Column: 8` in its two parts.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let parts = || {
        let (message, source_location) = text.rsplit_once(" at Line: ")?;
        let (line, column) = source_location.split_once(", Column: ")?;
        let digits = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
        Some((message, Location::new(line.parse().ok()?, column[..digits].parse().ok()?)))
    };
    parts().map_or((text, None), |(message, at)| (message, Some(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::error::QueryError;
    use crate::query::sql::statement::ParsedStatement;

    #[test]
    fn a_syntax_error_has_a_caret() {
        let Err(QueryError::Sql(problem)) = ParsedStatement::parse("SELECT symbol\nFORM ticks WHERE") else { panic!() };
        assert_eq!(
            problem.to_string(),
            "expected: end of statement, found: ticks; did you mean 'FROM' by 'FORM'?\n  2 | FORM ticks WHERE\n    \
             |      ^^^^^"
        );
        let Err(QueryError::Sql(problem)) = ParsedStatement::parse("SELECT 'abc") else { panic!() };
        assert_eq!(
            problem.source_location.as_ref().map(|source_location| (source_location.indent, source_location.width)),
            Some((7, 1)),
            "{problem}"
        );
        let Err(QueryError::Sql(problem)) = ParsedStatement::parse("SELECT '茅台' FORM ticks") else { panic!() };
        let lines: Vec<String> = problem.to_string().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(lines, ["  1 | SELECT '茅台' FORM ticks", "    |                    ^^^^^"]);
        let deep = format!("SELECT {}1{}", "(".repeat(400), ")".repeat(400));
        let Err(QueryError::Sql(problem)) = ParsedStatement::parse(&deep) else { panic!() };
        assert!(problem.to_string().contains("too deeply"), "{problem}");
    }

    #[test]
    fn locations_are_cut_off_the_message() {
        assert_eq!(split_location("x at Line: 3, Column: 14"), ("x", Some(Location::new(3, 14))));
        assert_eq!(split_location("x at Line: 3"), ("x at Line: 3", None));
        assert_eq!(lower_first("SUM of"), "SUM of");
    }
}
