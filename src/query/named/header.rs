//! The comment that opens a file of `sql/`: what it answers, its parameters, output columns and edge rules.
//!
//! ```text
//! -- The question, over one or more lines.
//! -- group NAME
//! -- param NAME TYPE DEFAULT description
//! -- column NAME TYPE description
//! -- warm-up ROWS
//! -- edge rule
//! ```

use std::fmt;

use crate::query::named::warm_up::{RANGE, WarmUp};
use crate::query::sql::params::{ParamType, ParamValue, QueryParam};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryHeader {
    pub question: String,
    /// The heading under which the list shows the query.
    pub group: Option<String>,
    pub params: Vec<QueryParam>,
    pub columns: Vec<OutputColumn>,
    /// The rows that the query reads beyond its range; without this line, windows begin at the range.
    pub warm_up: Option<WarmUp>,
    /// What happens at the edges: ties, unknown values, short windows.
    pub edges: Vec<String>,
}

/// An output column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    pub name: String,
    pub kind: ColumnType,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    String,
    Timestamp,
    Date,
    Double,
    Integer,
    Bigint,
    Boolean,
}

const COLUMN_TYPES: [(&str, ColumnType); 7] = [
    ("string", ColumnType::String),
    ("timestamp", ColumnType::Timestamp),
    ("date", ColumnType::Date),
    ("double", ColumnType::Double),
    ("integer", ColumnType::Integer),
    ("bigint", ColumnType::Bigint),
    ("boolean", ColumnType::Boolean),
];

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = COLUMN_TYPES.iter().find(|(_, kind)| kind == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

impl QueryHeader {
    /// Reads the comment lines before the statement.
    ///
    /// # Errors
    /// A `param` or `column` line doesn't follow the form; the error names the line.
    pub fn parse(sql: &str) -> Result<Self, String> {
        let mut header = Self::default();
        for (number, line) in sql.lines().enumerate() {
            let line = line.trim();
            let Some(comment) = line.strip_prefix("--") else {
                if line.is_empty() {
                    continue;
                }
                break;
            };
            let comment = comment.trim();
            let (word, rest) = comment.split_once(' ').unwrap_or((comment, ""));
            let at_line = |problem: String| format!("line {}: {problem}", number + 1);
            match word {
                "group" => header.group = Some(rest.to_owned()),
                "param" => {
                    let param = parse_param(rest).map_err(at_line)?;
                    if header.params.iter().any(|known| known.name == param.name) {
                        return Err(at_line(format!("parameter '{}' is declared twice", param.name)));
                    }
                    header.params.push(param);
                }
                "column" => header.columns.push(parse_column(rest).map_err(at_line)?),
                "warm-up" => header.warm_up = Some(WarmUp::parse(rest).map_err(at_line)?),
                "edge" => header.edges.push(rest.to_owned()),
                _ if comment.is_empty() => {}
                _ => {
                    if !header.question.is_empty() {
                        header.question.push(' ');
                    }
                    header.question.push_str(comment);
                }
            }
        }
        let shows_range = sql.contains(&format!("${RANGE}"));
        match &header.warm_up {
            Some(WarmUp::None) | None => {}
            Some(_) if shows_range => {}
            Some(_) => return Err("a warm-up needs WHERE $range, which chooses the rows that are shown".to_owned()),
        }
        Ok(header)
    }
}

fn parse_param(text: &str) -> Result<QueryParam, String> {
    let form = || format!("'param {text}' is not of the form `param NAME TYPE DEFAULT description`");
    let (name, rest) = text.split_once(' ').ok_or_else(form)?;
    let (kind, rest) = rest.trim_start().split_once(' ').ok_or_else(form)?;
    let rest = rest.trim_start();
    let (default, description) = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split_once('\'').ok_or_else(form)?,
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    if !is_name(name) {
        return Err(format!("'{name}' is no parameter name: use a-z, 0-9 and _"));
    }
    let kind: ParamType = kind.parse()?;
    let default = ParamValue::parse(kind, default).map_err(|problem| format!("default of '{name}': {problem}"))?;
    Ok(QueryParam { name: name.to_owned(), kind, default, description: description.trim().to_owned() })
}

fn parse_column(text: &str) -> Result<OutputColumn, String> {
    let form = || format!("'column {text}' is not of the form `column NAME TYPE description`");
    let (name, rest) = text.split_once(' ').ok_or_else(form)?;
    let rest = rest.trim_start();
    let (kind, description) = rest.split_once(' ').unwrap_or((rest, ""));
    let kind = COLUMN_TYPES.iter().find(|(word, _)| *word == kind).map(|(_, kind)| *kind);
    let names = || COLUMN_TYPES.map(|(word, _)| word).join(", ");
    let kind = kind.ok_or_else(|| format!("{}: the type is one of {}", form(), names()))?;
    Ok(OutputColumn { name: name.to_owned(), kind, description: description.trim().to_owned() })
}

/// A name that needs no quotes in SQL.
pub(in crate::query) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read() {
        let sql = "-- What moved?\n-- By how much?\n--\n-- param n count 3 Rows\n-- param who string 'A B' Name\n\
                   -- group moves\n-- column symbol string Instrument\n-- edge None.\n\nSELECT 1 -- param x count 1\n";
        let header = QueryHeader::parse(sql).unwrap();
        assert_eq!(header.question, "What moved? By how much?");
        assert_eq!(header.params.len(), 2);
        assert_eq!((header.params[0].kind, &header.params[0].default), (ParamType::Count, &ParamValue::Integer(3)));
        assert_eq!(header.params[1].default, ParamValue::String("A B".to_owned()));
        assert_eq!(header.params[1].description, "Name");
        assert_eq!(header.group.as_deref(), Some("moves"));
        let (name, description) = ("symbol".to_owned(), "Instrument".to_owned());
        assert_eq!(header.columns, [OutputColumn { name, kind: ColumnType::String, description }]);
        assert_eq!(header.edges, ["None."]);
    }

    #[test]
    fn a_wrong_parameter_line_is_an_error() {
        for (line, word) in [
            ("param n", "form"),
            ("param n count", "form"),
            ("param N count 1", "a-z"),
            ("param n number 1", "count"),
            ("param n count 0", "1"),
            ("column symbol Instrument", "one of string"),
            ("column symbol", "form"),
            ("warm-up some", "none of none, day"),
        ] {
            let error = QueryHeader::parse(&format!("-- x\n-- {line}\nSELECT 1")).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.contains(word), "{error}");
        }
        assert!(QueryHeader::parse("-- warm-up 3 rows\nSELECT 1").unwrap_err().contains("WHERE $range"));
        assert!(QueryHeader::parse("-- param n count 1\n-- param n count 2").unwrap_err().contains("twice"));
    }
}
