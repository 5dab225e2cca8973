//! Errors of a statement that parses and can't be planned: where they are, and what was probably meant.

use datafusion::common::{Column, DataFusionError, SchemaError, Span};

use crate::query::sql::problems::error_text::{first_lines, innermost, lower_first};
use crate::query::sql::problems::problem::SqlProblem;
use crate::query::sql::problems::source_location::SourceLocation;
use crate::query::sql::problems::unsupported::{Unsupported, hint_of, unsupported};
use crate::util::suggest::{closest, did_you_mean, shown};

/// Columns listed when one is not found; a hand-written table has fewer.
const MAX_LISTED: usize = 40;
/// The width of a list of names.
const WIDTH: usize = 76;

/// Functions that have another name here.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("average", "avg"),
    ("len", "length"),
    ("std", "stddev"),
    ("variance", "var"),
    ("ifnull", "coalesce"),
    ("first", "first_value"),
    ("last", "last_value"),
];

/// Functions of other databases, and their replacements here.
const FOREIGN_FUNCTIONS: [(&str, &str); 20] = [
    ("time_bucket", "date_bin(INTERVAL '5 minutes', ts)"),
    ("parse_datetime", "to_timestamp('20/11/2026 14:30', '%d/%m/%Y %H:%M')"),
    ("strptime", "to_timestamp('20/11/2026 14:30', '%d/%m/%Y %H:%M')"),
    ("strftime", "to_char(ts, '%Y-%m-%d %H:%M')"),
    ("date_format", "to_char(ts, '%Y-%m-%d %H:%M')"),
    ("date", "CAST(ts AS DATE)"),
    ("datetime", "CAST('2026-11-20 14:30:00' AS TIMESTAMP)"),
    ("year", "date_part('year', ts)"),
    ("month", "date_part('month', ts)"),
    ("day", "date_part('day', ts)"),
    ("hour", "date_part('hour', ts)"),
    ("epoch", "date_part('epoch', ts)"),
    ("unix_timestamp", "date_part('epoch', ts)"),
    ("dateadd", "ts + INTERVAL '1 day'"),
    ("tostartofhour", "date_trunc('hour', ts)"),
    ("arg_max", "last_value(close ORDER BY ts)"),
    ("max_by", "last_value(close ORDER BY ts)"),
    ("arg_min", "first_value(close ORDER BY ts)"),
    ("min_by", "first_value(close ORDER BY ts)"),
    ("quantile", "percentile_cont(0.5) WITHIN GROUP (ORDER BY close)"),
];

const READS_FILES: &str = "--register NAME=FILE makes a file a table";

/// Units of date_trunc and the like, which are easily taken for names.
const UNITS: [&str; 8] = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

/// Names that a statement can use.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct KnownNames {
    pub tables: Vec<String>,
    pub queries: Vec<String>,
    pub functions: Vec<String>,
}

impl SqlProblem {
    /// A text that parses and can't be planned.
    pub(in crate::query) fn planning(sql: &str, error: &DataFusionError, known: &KnownNames) -> Self {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let inner = innermost(error);
        let mut problem = match inner {
            DataFusionError::SchemaError(schema, _) => schema_problem(schema),
            DataFusionError::NotImplemented(text) if !text.contains(' ') => {
                let hint = (text == "TOP").then(|| "write LIMIT at the end of the statement".to_owned());
                problem(format!("{text} is not supported"), Some(text), hint.into_iter().collect())
            }
            other => named_problem(&first_lines(other), known),
        };
        let span = span.or(match inner {
            DataFusionError::SchemaError(schema, _) => span_of(schema),
            _ => None,
        });
        let word = problem.word.take();
        let message = problem.found.message.clone();
        let source_location = span.and_then(|span| SourceLocation::of_span(sql, span));
        let source_location = source_location.or_else(|| SourceLocation::of_word(sql, word.as_deref()?));
        problem.found.source_location = source_location.or_else(|| SourceLocation::of_literal(sql, &message));
        if problem.found.source_location.as_ref().is_some_and(SourceLocation::is_double_quoted) {
            problem.found.hints.push("double quotes mark a name; a text takes single quotes".to_owned());
        }
        problem.found.hints.extend(hint_of(sql, &message).map(str::to_owned));
        problem.found.as_typed();
        problem.found
    }
}

impl SqlProblem {
    /// Names are lower case to the planner, which is no help where a text without its quotes was taken for one.
    fn as_typed(&mut self) {
        let Some(typed) = self.source_location.as_ref().map(SourceLocation::word) else { return };
        if typed.chars().any(char::is_lowercase) || !typed.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return;
        }
        let message_text = format!("there is no column '{}'", typed.to_lowercase());
        if self.message == message_text && message_text != format!("there is no column '{typed}'") {
            self.message = format!("there is no column '{typed}'");
            self.hints.push(format!("a text takes single quotes: '{typed}'"));
        }
    }
}

struct LocatedProblem {
    found: SqlProblem,
    /// The word to search for when the error has no location.
    word: Option<String>,
}

fn problem(message: String, word: Option<&str>, hints: Vec<String>) -> LocatedProblem {
    LocatedProblem { found: SqlProblem { message, source_location: None, hints }, word: word.map(str::to_owned) }
}

fn schema_problem(error: &SchemaError) -> LocatedProblem {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let tables: Vec<&str> =
                valid_fields.iter().filter_map(|field| Some(field.relation.as_ref()?.table())).collect();
            if let Some(table) = field.relation.as_ref().map(|relation| relation.table())
                && !tables.is_empty()
                && !tables.contains(&table)
            {
                return no_such_qualifier(table, field.name(), tables);
            }
            let of_table = |column: &&Column| field.relation.is_none() || column.relation == field.relation;
            let mut names: Vec<&str> = valid_fields.iter().filter(of_table).map(Column::name).collect();
            names.dedup();
            let hint = suggestion(field.name(), &names);
            let table = field.relation.as_ref().map(|table| format!(" in {}", table.table())).unwrap_or_default();
            let more = if names.len() > MAX_LISTED { ", .." } else { "" };
            names.truncate(MAX_LISTED);
            let listed = (!names.is_empty()).then(|| wrapped("columns: ", &names, more));
            let is_unit = UNITS.iter().any(|unit| unit.eq_ignore_ascii_case(field.name()));
            let quoted = is_unit.then(|| format!("as a unit of time it takes quotes: '{}'", field.name()));
            problem(
                format!("there is no column '{}'{table}{hint}", field.name()),
                Some(field.name()),
                listed.into_iter().chain(quoted).collect(),
            )
        }
        SchemaError::AmbiguousReference { field } => problem(
            format!("column '{}' is ambiguous", field.name()),
            Some(field.name()),
            vec![format!("write the table or its alias before it, as in ticks.{}", field.name())],
        ),
        other => problem(lower_first(&other.to_string()), None, Vec::new()),
    }
}

/// Without double quotes names are lower case, so a column that a file calls `Name` is found by `"Name"` only.
fn suggestion(wrong: &str, names: &[&str]) -> String {
    match names.iter().find(|name| name.eq_ignore_ascii_case(wrong)) {
        Some(name) => format!("; write \"{}\" in double quotes: its case counts", shown(name)),
        None => match closest(wrong, names.iter().copied()) {
            Some(name) if name.chars().any(char::is_uppercase) => format!("; did you mean '\"{}\"'?", shown(name)),
            Some(name) => format!("; did you mean '{}'?", shown(name)),
            None => String::new(),
        },
    }
}

/// Names after each other, in lines of [`WIDTH`].
fn wrapped(head: &str, names: &[&str], tail: &str) -> String {
    let mut lines = vec![head.to_owned()];
    for (at, name) in names.iter().enumerate() {
        let name = shown(name);
        let mark = if at + 1 < names.len() { ", " } else { tail };
        match lines.last_mut().filter(|line| line.len() + name.len() < WIDTH) {
            Some(line) => line.push_str(&format!("{name}{mark}")),
            None => lines.push(format!("{}{name}{mark}", " ".repeat(head.len() + 2))),
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// `x.close` where no table goes by the name x.
fn no_such_qualifier(wrong: &str, column: &str, mut tables: Vec<&str>) -> LocatedProblem {
    tables.dedup();
    let hint = did_you_mean(wrong, tables.iter().copied());
    let listed = format!("tables and aliases: {}", tables.join(", "));
    problem(
        format!("'{wrong}' in '{wrong}.{column}' is no table or alias of this statement{hint}"),
        Some(wrong),
        vec![listed],
    )
}

fn span_of(error: &SchemaError) -> Option<Span> {
    match error {
        SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field } => field.spans.first(),
        _ => None,
    }
}

/// Recognizes errors that DataFusion reports as text only.
fn named_problem(text: &str, known: &KnownNames) -> LocatedProblem {
    // How texts are read is no business of who writes SQL.
    let text = text.replace("Utf8View", "Utf8");
    let text = text.as_str();
    let quoted = |prefix: &str| text.strip_prefix(prefix)?.split('\'').next();
    if let Some(table) = quoted("table '").filter(|_| text.contains("not found")) {
        let name = table.strip_prefix("datafusion.public.").unwrap_or(table);
        let hint = did_you_mean(name, known.tables.iter().chain(&known.queries).map(String::as_str));
        let tables = format!("tables: {}", known.tables.join(", "));
        let files = name.contains(['.', '/']).then(|| READS_FILES.to_owned());
        let word = name.rsplit('.').next().unwrap_or(name);
        return problem(
            format!("there is no table '{name}'{hint}"),
            Some(word),
            [tables].into_iter().chain(files).collect(),
        );
    }
    if let Some(name) = quoted("table function '") {
        let hint = name.starts_with("read_").then(|| READS_FILES.to_owned());
        return problem(format!("there is no table function '{name}'"), Some(name), hint.into_iter().collect());
    }
    if let Some(Unsupported { message, hints }) = unsupported(text) {
        return problem(message.to_owned(), None, hints.iter().map(|hint| (*hint).to_owned()).collect());
    }
    if text.starts_with("HAVING clause references") {
        let message_text = "HAVING takes columns of GROUP BY and aggregate functions such as max(close)";
        return problem(message_text.to_owned(), Some("HAVING"), Vec::new());
    }
    if let Some(name) = quoted("Invalid function '") {
        if known.functions.iter().any(|function| function == name) {
            let message = format!("{name} is a window function: it needs an OVER");
            let example = format!("write {name}(..) OVER (PARTITION BY symbol ORDER BY ts)");
            return problem(message, Some(name), vec![example]);
        }
        if let Some((_, here)) = FOREIGN_FUNCTIONS.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name)) {
            return problem(format!("there is no function '{name}'; write {here}"), Some(name), Vec::new());
        }
        let other = closest(name, OTHER_NAMES.map(|(other, _)| other));
        let other = other.and_then(|other| OTHER_NAMES.iter().find(|(name, _)| *name == other));
        let hint = match other {
            Some((_, here)) => format!("; did you mean '{here}'?"),
            None => did_you_mean(name, known.functions.iter().map(String::as_str)),
        };
        return problem(format!("there is no function '{name}'{hint}"), Some(name), Vec::new());
    }
    if let Some((_, rest)) = text.split_once("No function matches the given name and argument types '") {
        let call = rest.split('\'').next().unwrap_or_default();
        let name = call.split('(').next().unwrap_or_default();
        let candidates = rest.split_once("Candidate functions:").map_or("", |(_, candidates)| candidates);
        let candidates: Vec<&str> = candidates.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let hint = (!candidates.is_empty()).then(|| format!("it takes: {}", candidates.join(" or ")));
        return problem(format!("no function takes {call}"), Some(name), hint.into_iter().collect());
    }
    if let Some((_, rest)) = text.split_once(", column \"").filter(|_| text.contains("must be in GROUP BY")) {
        let column = rest.split('"').next().unwrap_or_default();
        let name = column.rsplit('.').next().unwrap_or(column);
        let message_text =
            format!("column '{name}' is neither in GROUP BY nor in an aggregate function such as max({name})");
        return problem(message_text, Some(name), Vec::new());
    }
    let is_comparison = text.contains("argument type for comparison") && text.contains("Timestamp");
    if is_comparison || text.contains("parsing timestamp") {
        let message_text = lower_first(text.lines().next().unwrap_or_default());
        return problem(
            message_text,
            None,
            vec!["write a time as in ts >= TIMESTAMP '2026-11-20T14:30:00Z'".to_owned()],
        );
    }
    let mut lines = text.lines();
    let message = lower_first(lines.next().unwrap_or_default());
    // Errors of our window functions begin with their name.
    let word = message.split([' ', ':']).next().filter(|word| known.functions.iter().any(|name| name == word));
    let word = word.map(str::to_owned);
    problem(
        message,
        word.as_deref(),
        lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(),
    )
}
