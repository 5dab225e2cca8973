//! Locations in the text of a statement: the line, and the characters that a caret marks.

use datafusion::common::Span;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

/// A location in the text of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// From 1.
    pub line: u64,
    pub text: String,
    /// Characters before the marked word.
    pub indent: usize,
    pub width: usize,
}

impl SourceLocation {
    fn new(sql: &str, line: u64, column: u64, width: usize) -> Option<Self> {
        let text = sql.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let indent = usize::try_from(column).ok()?.checked_sub(1)?;
        let left = text.chars().count().saturating_sub(indent).max(1);
        // A tab would shift the caret.
        Some(Self { line, text: text.replace('\t', " "), indent, width: width.clamp(1, left) })
    }

    pub(in crate::query) fn of_span(sql: &str, span: Span) -> Option<Self> {
        let width = if span.start.line == span.end.line {
            usize::try_from(span.end.column.saturating_sub(span.start.column)).ok()?
        } else {
            1
        };
        Self::new(sql, span.start.line, span.start.column, width)
    }

    /// The token that begins at `at`, or the end of the text.
    pub(in crate::query) fn of_word_at(sql: &str, at: Location) -> Option<Self> {
        let token = tokens(sql).into_iter().find(|(start, ..)| *start == at);
        let width = token.map_or(1, |(.., width)| width);
        Self::new(sql, at.line, at.column, width)
    }

    /// Behind the last word.
    pub(in crate::query) fn of_end(sql: &str) -> Option<Self> {
        let (start, _, width) = tokens(sql).pop()?;
        Self::new(sql, start.line, start.column + width as u64, 1)
    }

    /// The first token that is `word`.
    pub(in crate::query) fn of_word(sql: &str, word: &str) -> Option<Self> {
        let all = tokens(sql);
        let (at, _, width) = all.into_iter().find(|(_, text, _)| text.eq_ignore_ascii_case(word))?;
        Self::new(sql, at.line, at.column, width)
    }

    /// The first text in quotes that `message` repeats.
    pub(in crate::query) fn of_literal(sql: &str, message: &str) -> Option<Self> {
        let all = tokens(sql);
        let is_told = |text: &str| text.len() > 2 && text.starts_with('\'') && message.contains(text);
        let (at, _, width) = all.into_iter().find(|(_, text, _)| is_told(text))?;
        Self::new(sql, at.line, at.column, width)
    }

    /// What is marked, as it was typed.
    pub(in crate::query) fn word(&self) -> String {
        self.text.chars().skip(self.indent).take(self.width).collect()
    }

    /// The line up to what is marked.
    pub(in crate::query) fn text_before(&self) -> String {
        self.text.chars().take(self.indent).collect()
    }

    /// The word before, on the same line.
    pub(in crate::query) fn word_before(&self) -> Option<String> {
        self.text_before().split_whitespace().next_back().map(str::to_owned)
    }

    pub(in crate::query) fn is_double_quoted(&self) -> bool {
        self.text.chars().nth(self.indent) == Some('"')
    }
}

/// Start, word and width of each token.
fn tokens(sql: &str) -> Vec<(Location, String, usize)> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default();
    tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .map(|token| {
            let (start, end) = (token.span.start, token.span.end);
            let width = if start.line == end.line { end.column.saturating_sub(start.column) } else { 1 };
            let word = match &token.token {
                Token::Word(word) => word.value.clone(),
                other => other.to_string(),
            };
            (start, word, usize::try_from(width).unwrap_or(1))
        })
        .collect()
}
