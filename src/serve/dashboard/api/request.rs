//! The request for a named query, parsed from a URL. Unknown keys and malformed values are refused with an error that
//! describes the right form.

use chrono::DateTime;
use chrono_tz::Tz;
use url::form_urlencoded;

use crate::query::{OutputFormat, QueryRequest};
use crate::serve::http::Problem;
use crate::util::suggest::did_you_mean;

/// Maximum number of rows of a response by columns.
pub(in crate::serve::dashboard) const ROW_LIMIT: usize = 20_000;
/// Maximum number of rows of a download.
pub(in crate::serve::dashboard) const DOWNLOAD_LIMIT: usize = 1_000_000;
pub(in crate::serve::dashboard) const MOST_SYMBOLS: usize = 20;
/// Maximum length of a symbol in a request, in bytes. Symbols in the table have at most 64 bytes.
const LONGEST_SYMBOL: usize = 256;

const KEYS: [&str; 10] = ["symbol", "from", "to", "cold", "interval", "tz", "limit", "order", "format", "before"];
/// Prefix of the parameters of a query.
const PARAM: &str = "p.";

#[derive(Debug, Clone, PartialEq)]
pub(in crate::serve::dashboard) struct ApiRequest {
    pub(in crate::serve::dashboard) symbols: Vec<String>,
    pub(in crate::serve::dashboard) from: Option<String>,
    pub(in crate::serve::dashboard) to: Option<String>,
    /// Whether window functions start at `from`, without the rows before it.
    pub(in crate::serve::dashboard) cold: bool,
    pub(in crate::serve::dashboard) params: Vec<(String, String)>,
    pub(in crate::serve::dashboard) zone: Tz,
    pub(in crate::serve::dashboard) limit: Option<usize>,
    /// Whether the last rows are kept instead of the first.
    pub(in crate::serve::dashboard) newest: bool,
    /// The download format; `None` means JSON by columns.
    pub(in crate::serve::dashboard) format: Option<OutputFormat>,
}

impl ApiRequest {
    /// Parses the query string of the URL. `accept` is the value of the `Accept` header.
    ///
    /// # Errors
    /// A key is unknown or occurs twice, or a value is malformed.
    pub(in crate::serve::dashboard) fn parse(query: &str, accept: &str) -> Result<Self, Problem> {
        let mut asked = Self {
            symbols: Vec::new(),
            from: None,
            to: None,
            cold: false,
            params: Vec::new(),
            zone: Tz::UTC,
            limit: None,
            newest: false,
            format: accepted(accept),
        };
        let (mut seen, mut before) = (Vec::new(), None);
        let mut limit = None;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if key != "symbol" && seen.contains(&key) {
                return Err(Problem::wrong(format!("{key} is given twice")));
            }
            match key.as_ref() {
                "symbol" => asked.add_symbol(&value)?,
                "from" => asked.from = Some(value.into_owned()),
                "to" => asked.to = Some(value.into_owned()),
                "cold" => asked.cold = is_cold(&value)?,
                "interval" => asked.params.push(("interval".to_owned(), value.into_owned())),
                "tz" => asked.zone = zone(&value)?,
                "limit" => limit = Some(value.into_owned()),
                "order" => asked.newest = is_newest(&value)?,
                "format" => asked.format = Some(format_named(&value)?),
                "before" => before = Some(instant(&value)?),
                name => match name.strip_prefix(PARAM) {
                    Some(param) => asked.params.push((param.to_owned(), value.into_owned())),
                    None => return Err(unknown(name)),
                },
            }
            seen.push(key);
        }
        // For further pages, `before` replaces `to`, which was the end of the first page.
        asked.to = before.or(asked.to);
        asked.limit = limit.map(|limit| asked.row_limit(&limit)).transpose()?;
        Ok(asked)
    }

    fn add_symbol(&mut self, symbol: &str) -> Result<(), Problem> {
        add_symbol(&mut self.symbols, symbol)
    }

    fn row_limit(&self, text: &str) -> Result<usize, Problem> {
        let most = if self.format.is_some() { DOWNLOAD_LIMIT } else { ROW_LIMIT };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| {
            let problem = Problem::wrong(format!("limit: '{text}' is no number of rows from 1 to {most}"));
            if self.format.is_some() { problem } else { problem.hint("format=csv or parquet downloads more rows") }
        })
    }

    /// Converts this to a request of the query catalog.
    pub(in crate::serve::dashboard) fn ask(&self, table: &'static str) -> QueryRequest {
        let Self { symbols, from, to, cold, params, .. } = self.clone();
        QueryRequest { table, symbols, from, to, params, cold, mark: "" }
    }
}

/// Adds a symbol of the URL. A symbol that was already added is ignored.
///
/// # Errors
/// The symbol is invalid, or there are too many symbols.
pub(in crate::serve::dashboard) fn add_symbol(symbols: &mut Vec<String>, symbol: &str) -> Result<(), Problem> {
    if symbol.is_empty() || symbol.len() > LONGEST_SYMBOL {
        return Err(Problem::wrong(format!("symbol: a symbol has 1 to {LONGEST_SYMBOL} bytes")));
    }
    if symbols.iter().any(|known| known == symbol) {
        return Ok(());
    }
    if symbols.len() == MOST_SYMBOLS {
        let problem = Problem::wrong(format!("more than {MOST_SYMBOLS} symbols at once"));
        return Err(problem.hint("leave symbol out for all of them"));
    }
    symbols.push(symbol.to_owned());
    Ok(())
}

fn unknown(key: &str) -> Problem {
    let hint = did_you_mean(key, KEYS);
    let problem = Problem::wrong(format!("'{key}' is no parameter of the URL{hint}"));
    problem.hint(format!("{}, and p.NAME for the parameters of the query", KEYS.join(", ")))
}

fn zone(text: &str) -> Result<Tz, Problem> {
    let problem =
        || Problem::wrong(format!("tz: '{text}' is no zone: write a name of the IANA list, such as America/New_York"));
    text.parse().map_err(|_| problem())
}

fn is_newest(text: &str) -> Result<bool, Problem> {
    match text {
        "newest" => Ok(true),
        "oldest" => Ok(false),
        _ => Err(Problem::wrong(format!("order: '{text}' is neither newest nor oldest"))),
    }
}

fn is_cold(text: &str) -> Result<bool, Problem> {
    text.parse().map_err(|_| Problem::wrong(format!("cold: '{text}' is neither true nor false")))
}

/// Parses milliseconds since the epoch, with an optional fraction.
fn instant(text: &str) -> Result<String, Problem> {
    let problem = || Problem::wrong(format!("before: '{text}' is no time: write milliseconds since 1970, UTC"));
    let millis: f64 = text.parse().map_err(|_| problem())?;
    let micros = (millis * 1000.0).round();
    let time = (micros.abs() < 9e15).then(|| DateTime::from_timestamp_micros(micros as i64)).flatten();
    Ok(time.ok_or_else(problem)?.to_rfc3339())
}

const FORMATS: [(&str, OutputFormat); 4] = [
    ("csv", OutputFormat::Csv),
    ("json", OutputFormat::Json),
    ("parquet", OutputFormat::Parquet),
    ("arrow", OutputFormat::Arrow),
];

fn format_named(text: &str) -> Result<OutputFormat, Problem> {
    let found = FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
    found.ok_or_else(|| {
        let names = FORMATS.map(|(name, _)| name);
        Problem::wrong(format!("format: '{text}' is none of {}{}", names.join(", "), did_you_mean(text, names)))
    })
}

/// The download format that the `Accept` header names. `application/json` means the response by columns.
fn accepted(accept: &str) -> Option<OutputFormat> {
    let media = |item: &'_ str| item.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    accept.split(',').map(media).find_map(|media| match media.as_str() {
        "text/csv" => Some(OutputFormat::Csv),
        "application/vnd.apache.parquet" => Some(OutputFormat::Parquet),
        "application/vnd.apache.arrow.stream" => Some(OutputFormat::Arrow),
        _ => None,
    })
}

/// File extension of the format.
pub(in crate::serve::dashboard) fn ending(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Json => "json",
        OutputFormat::Parquet => "parquet",
        OutputFormat::Arrow => "arrows",
        _ => "csv",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ApiRequest, Problem> {
        ApiRequest::parse(query, "*/*")
    }

    #[test]
    fn a_url_is_read() {
        let asked = parse(
            "symbol=A%26B&symbol=%3Cscript%3E&symbol=A%26B&from=2h&interval=5m\
             &p.window=20&tz=Asia%2FKolkata&limit=7&order=newest",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.symbols, ["A&B", "<script>"]);
        let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(asked.params, [param("interval", "5m"), param("window", "20")]);
        assert_eq!((asked.limit, asked.newest, asked.zone), (Some(7), true, Tz::Asia__Kolkata));
        assert_eq!(asked.format, None);
        let before = parse("to=now&before=1763733600123.456").unwrap();
        assert_eq!(before.to.as_deref(), Some("2025-11-21T14:00:00.123456+00:00"));
        let download = |query: &str, accept: &str| ApiRequest::parse(query, accept).unwrap().format;
        assert_eq!(download("", "text/html, text/csv;q=0.9"), Some(OutputFormat::Csv));
        assert_eq!(download("format=arrow", "text/csv"), Some(OutputFormat::Arrow));
        assert_eq!(download("", "application/json"), None);
        assert_eq!(parse("limit=1000000&format=csv").unwrap().limit, Some(DOWNLOAD_LIMIT));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Vec<String> = (0..=MOST_SYMBOLS).map(|n| format!("symbol=S{n}")).collect();
        let long = format!("symbol={}", "x".repeat(LONGEST_SYMBOL + 1));
        for (query, expected) in [
            (many.join("&").as_str(), "more than 20 symbols"),
            (long.as_str(), "1 to 256 bytes"),
            ("symbol=", "1 to 256 bytes"),
            ("form=2h", "did you mean 'from'?"),
            ("sql=SELECT", "no parameter of the URL"),
            ("from=1h&from=2h", "from is given twice"),
            ("p.x=1&p.x=2", "p.x is given twice"),
            ("tz=Mars", "IANA"),
            ("limit=1e9", "from 1 to 20000"),
            ("limit=0", "from 1 to 20000"),
            ("limit=-1", "from 1 to 20000"),
            ("limit=20001", "from 1 to 20000"),
            ("limit=1000001&format=csv", "from 1 to 1000000"),
            ("order=sideways", "newest"),
            ("format=xlsx", "csv, json, parquet, arrow"),
            ("before=soon", "milliseconds"),
            ("before=1e300", "milliseconds"),
            ("before=NaN", "milliseconds"),
        ] {
            let problem = parse(query).unwrap_err();
            assert!(problem.message.contains(expected), "{query}: {problem:?}");
        }
    }
}
