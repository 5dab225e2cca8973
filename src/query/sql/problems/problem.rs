//! A problem of a statement: a message, with a caret under the word that it is about.

use std::fmt;

use datafusion::sql::sqlparser::tokenizer::Location;

use crate::query::sql::problems::source_location::SourceLocation;
use crate::util::text_width::text_width;

/// A problem of a statement, with its location and hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProblem {
    pub message: String,
    pub source_location: Option<SourceLocation>,
    pub hints: Vec<String>,
}

impl fmt::Display for SqlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source_location) = &self.source_location {
            let number = source_location.line.to_string();
            let (before, marked) = (source_location.text_before(), source_location.word());
            let blank = " ".repeat(number.len());
            let (indent, carets) = (" ".repeat(text_width(&before)), "^".repeat(text_width(&marked).max(1)));
            write!(f, "\n  {number} | {}\n  {blank} | {indent}{carets}", source_location.text)?;
        }
        for hint in &self.hints {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

impl SqlProblem {
    /// The problem that another engine reports for a statement; line and column count from 1.
    pub fn at(sql: &str, at: Option<(u64, u64)>, message: String, hints: Vec<String>) -> Self {
        let source_location = at.and_then(|(line, column)| SourceLocation::of_word_at(sql, Location { line, column }));
        Self { message, source_location, hints }
    }
}
