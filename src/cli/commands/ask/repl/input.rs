//! Splits the text into complete inputs: dot commands and named queries end with their line, SQL ends at a semicolon.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::args::FormatChoice;
use crate::util::suggest::did_you_mean;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// The line of a dot command, including its dot.
    Dot(String),
    /// The name of a named query and its flags.
    Named(String),
    Sql(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dot {
    Help,
    Tables,
    Schema(Option<String>),
    Mode(Option<FormatChoice>),
    Timer(bool),
    /// Maximum number of rows to show of a result; `None` shows all.
    Limit(Option<usize>),
    Pager(bool),
    /// File for the next result; `None` is the terminal.
    Output(Option<PathBuf>),
    /// The name of a table, and the file to register under it.
    Register(String, String),
    Read(PathBuf),
    List,
    Quit,
}

/// The dot commands: the name, its values and the help text.
pub(super) const DOTS: [(&str, &str, &str); 13] = [
    (".help", "", "show this"),
    (".tables", "", "list the tables"),
    (".schema", "[NAME]", "list the columns of a table or named query, or of all tables"),
    (".list", "", "list the named queries; type a name to run one, with flags such as --param fast=5"),
    (".mode", "[FORMAT]", "print results as auto, table, csv, csv-spreadsheet, json, ndjson, markdown or null"),
    (".limit", "ROWS|all", "show so many rows of a table: the first and the last ones"),
    (".pager", "on|off", "show results whole in $PAGER, or less -S"),
    (".output", "[FILE]", "write the next result to a file; without one to the terminal after all"),
    (".register", "NAME=FILE", "read a file as a table: csv, tsv, json, ndjson or parquet"),
    (".timer", "on|off", "print how long a statement took"),
    (".read", "FILE", "run the statements of a file"),
    (".quit", "", "leave, as Ctrl-D does"),
    (".exit", "", "the same as .quit"),
];

/// Commands of other prompts, in lower case, and the dot commands that they stand for.
const BARE: [(&str, &str); 8] = [
    ("help", ".help"),
    ("?", ".help"),
    ("\\?", ".help"),
    ("quit", ".quit"),
    ("exit", ".quit"),
    ("\\q", ".quit"),
    ("\\d", ".tables"),
    ("\\dt", ".tables"),
];

/// First words of statements. Such a word alone on a line is not a named query, but an incomplete statement.
const STARTERS: [&str; 9] = ["select", "with", "values", "explain", "show", "describe", "desc", "table", "from"];

/// All complete inputs of `text`, whose lines end with a newline, and the incomplete rest.
pub(super) fn split(text: &str) -> (Vec<Input>, &str) {
    let mut inputs = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if let Some(dot) = bare(line) {
            inputs.push(Input::Dot(dot));
            rest = after;
        } else if line.starts_with('.') {
            inputs.push(Input::Dot(line.to_owned()));
            rest = after;
        } else if is_named(line) {
            inputs.push(Input::Named(line.trim_end_matches(';').trim_end().to_owned()));
            rest = after;
        } else if let Some(end) = statement_end(rest) {
            inputs.extend(sql(&rest[..end]));
            rest = &rest[end..];
        } else {
            return (inputs, if is_blank(rest) { "" } else { rest });
        }
        rest = rest.trim_start();
    }
}

/// The dot command for a command of another prompt, which has no dot.
fn bare(line: &str) -> Option<String> {
    let line = line.trim_end_matches(';').trim_end();
    if let Some(table) = line.strip_prefix("\\d ").map(str::trim) {
        return Some(format!(".schema {table}"));
    }
    let found = BARE.iter().find(|(word, _)| word.eq_ignore_ascii_case(line));
    found.map(|(_, dot)| (*dot).to_owned())
}

/// Like [`split`], but the rest is complete as well, because the input has ended.
pub(super) fn split_all(text: &str) -> Vec<Input> {
    let (mut inputs, rest) = split(text);
    inputs.extend(sql(rest));
    inputs
}

fn sql(text: &str) -> Option<Input> {
    (!is_blank(text)).then(|| Input::Sql(text.trim().to_owned()))
}

/// Whether the line is a named query, such as `sma_crossover` or `sma_crossover --param fast=5`.
fn is_named(line: &str) -> bool {
    let mut words = line.trim_end_matches(';').split_whitespace();
    let name = words.next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let has_flag = |word: &str| word.strip_prefix("--").is_some_and(|flag| flag.starts_with(char::is_alphabetic));
    is_name && !STARTERS.contains(&name) && words.next().is_none_or(has_flag)
}

/// The position after the first semicolon that is not in a string, a quoted name or a comment.
fn statement_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match skip(text, at) {
            Some(next) => at = next?,
            None if bytes[at] == b';' => return Some(at + 1),
            None => at += 1,
        }
    }
    None
}

/// The position after the quoted text or comment that begins at `at`. `Some(None)` means that it is not terminated, and
/// `None` that there is none.
fn skip(text: &str, at: usize) -> Option<Option<usize>> {
    let rest = &text.as_bytes()[at..];
    let behind = |mark: &str, from: usize| text[at + from..].find(mark).map(|found| at + from + found + mark.len());
    match rest {
        [b'\'', ..] => Some(behind("'", 1)),
        [b'"', ..] => Some(behind("\"", 1)),
        [b'`', ..] => Some(behind("`", 1)),
        [b'-', b'-', ..] => Some(behind("\n", 2)),
        [b'/', b'*', ..] => Some(behind("*/", 2)),
        _ => None,
    }
}

/// Whether the text consists only of white space, comments and semicolons.
fn is_blank(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_comment = matches!(&bytes[at..], [b'-', b'-', ..] | [b'/', b'*', ..]);
        match skip(text, at) {
            Some(Some(next)) if is_comment => at = next,
            Some(None) if bytes[at] == b'-' => return true,
            None if bytes[at].is_ascii_whitespace() || bytes[at] == b';' => at += 1,
            _ => return false,
        }
    }
    true
}

impl Dot {
    /// Parses a dot command.
    ///
    /// # Errors
    /// There is no such command, or its value is missing or invalid.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let words = words(line.trim_end_matches(';'))?;
        let (name, values) = words.split_first().map_or(("", &[][..]), |(name, values)| (name.as_str(), values));
        let Some((name, usage, _)) = DOTS.iter().find(|(known, ..)| *known == name) else {
            let hint = did_you_mean(name, DOTS.iter().map(|(name, ..)| *name));
            return Err(format!("there is no command '{name}'{hint} (.help lists all)"));
        };
        let wrong = || format!("write {name} {usage}").trim_end().to_owned();
        let value = match values {
            [] => None,
            [value] => Some(value.as_str()),
            _ => return Err(wrong()),
        };
        Ok(match (*name, value) {
            (".help", None) => Self::Help,
            (".tables", None) => Self::Tables,
            (".schema", table) => Self::Schema(table.map(str::to_owned)),
            (".list", None) => Self::List,
            (".mode", None) => Self::Mode(None),
            (".mode", Some(format)) => {
                let choice = FormatChoice::from_str(format, true);
                Self::Mode(Some(choice.map_err(|_| {
                    let hint = did_you_mean(format, formats().iter().map(String::as_str));
                    format!("there is no format '{format}'{hint}; use one of {}", formats().join(", "))
                })?))
            }
            (".timer", Some("on")) => Self::Timer(true),
            (".timer", Some("off")) => Self::Timer(false),
            (".pager", Some("on")) => Self::Pager(true),
            (".pager", Some("off")) => Self::Pager(false),
            (".limit", Some("all")) => Self::Limit(None),
            (".limit", Some(rows)) => Self::Limit(Some(rows.parse().ok().filter(|rows| *rows > 0).ok_or_else(wrong)?)),
            (".output", file) => Self::Output(file.map(PathBuf::from)),
            (".register", Some(pair)) => {
                let (name, file) = pair.split_once('=').ok_or_else(wrong)?;
                Self::Register(name.to_owned(), file.to_owned())
            }
            (".read", Some(file)) => Self::Read(PathBuf::from(file)),
            (".quit" | ".exit", None) => Self::Quit,
            _ => return Err(wrong()),
        })
    }
}

/// Formats that `.mode` accepts.
pub(super) fn formats() -> Vec<String> {
    let values = FormatChoice::value_variants().iter().filter(|choice| !choice.is_binary());
    values.filter_map(|choice| choice.to_possible_value()).map(|value| value.get_name().to_owned()).collect()
}

/// Splits a line at spaces. Quotes keep spaces within a word.
///
/// # Errors
/// A quote is not closed.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(mark) => Err(format!("the quote {mark} is not closed")),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::OutputFormat;

    fn sql(text: &str) -> Input {
        Input::Sql(text.to_owned())
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_texts() {
        let text = "SELECT ';' -- ;\n, \"a;b\" /* ; */;\n\nSELECT 2; .tables;\nSELECT";
        let (inputs, rest) = split(text);
        let first = "SELECT ';' -- ;\n, \"a;b\" /* ; */;";
        assert_eq!(inputs, [sql(first), sql("SELECT 2;"), Input::Dot(".tables;".to_owned())]);
        assert_eq!(rest, "SELECT");
        for open in ["SELECT 'a;", "SELECT 1 /* ;", "SELECT 1 -- ;", "SELECT\n", "SELECT 'it''s;"] {
            assert_eq!(split(open), (vec![], open), "{open}");
        }
        assert_eq!(split_all("SELECT 'a;"), [sql("SELECT 'a;")]);
        assert_eq!(split("SELECT 'it''s';").0, [sql("SELECT 'it''s';")]);
    }

    #[test]
    fn nothing_is_nothing() {
        for blank in ["", " \n", ";;\n ;", "-- only words", "-- a\n/* b */ ;", "-- a\n-- b\n"] {
            assert_eq!(split_all(blank), [], "{blank:?}");
        }
        assert_eq!(split_all("/* open"), [sql("/* open")]);
    }

    #[test]
    fn names_and_dots_end_with_their_line() {
        for (text, input) in [
            ("daily_summary\n", Input::Named("daily_summary".to_owned())),
            ("bars --interval 5m;\n", Input::Named("bars --interval 5m".to_owned())),
            (".mode csv\n", Input::Dot(".mode csv".to_owned())),
            ("quit;\n", Input::Dot(".quit".to_owned())),
            ("exit\n", Input::Dot(".quit".to_owned())),
            ("EXIT;\n", Input::Dot(".quit".to_owned())),
            ("\\d ticks;\n", Input::Dot(".schema ticks".to_owned())),
            ("\\dt\n", Input::Dot(".tables".to_owned())),
            ("?\n", Input::Dot(".help".to_owned())),
        ] {
            assert_eq!(split(text), (vec![input], ""), "{text}");
        }
        for waiting in ["select\n", "SELECT\n", "from ticks\n", "a -- b\n", "with\n", "select --all\n"] {
            assert_eq!(split(waiting).0, [], "{waiting}");
        }
    }

    #[test]
    fn dot_commands_have_values() {
        assert_eq!(Dot::parse(".mode CSV"), Ok(Dot::Mode(Some(FormatChoice::Is(OutputFormat::Csv)))));
        assert_eq!(Dot::parse(".schema"), Ok(Dot::Schema(None)));
        assert_eq!(Dot::parse(".timer off"), Ok(Dot::Timer(false)));
        assert_eq!(Dot::parse(".read 'a b.sql'"), Ok(Dot::Read("a b.sql".into())));
        assert_eq!(Dot::parse(".limit 10"), Ok(Dot::Limit(Some(10))));
        assert_eq!(Dot::parse(".limit all;"), Ok(Dot::Limit(None)));
        assert_eq!(Dot::parse(".output"), Ok(Dot::Output(None)));
        assert_eq!(Dot::parse(".register s='a=b.csv'"), Ok(Dot::Register("s".to_owned(), "a=b.csv".to_owned())));
        assert_eq!(Dot::parse(".exit"), Ok(Dot::Quit));
        for (line, expected) in [
            (".tabels", "did you mean '.tables'?"),
            (".timer", "write .timer on|off"),
            (".tables x", "write .tables"),
            (".read 'a", "not closed"),
            (".mode exel", "use one of auto, table, csv, csv-spreadsheet, json, ndjson, markdown, null"),
            (".limit 0", "write .limit ROWS|all"),
            (".register x", "write .register NAME=FILE"),
        ] {
            let problem = Dot::parse(line).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn words_keep_what_is_quoted() {
        assert_eq!(words(r#"a  --b="c d" '' e'f g'h"#).unwrap(), ["a", "--b=c d", "", "ef gh"]);
    }
}
