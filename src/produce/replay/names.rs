//! Which column of a file is which field, and what to say about the columns that are none.

use super::error::ReplayError;
use super::settings::ColumnNames;
use crate::decode::{FieldSource, InputSettings};
use crate::util::suggest::{did_you_mean, shown};

const FIELDS: [&str; 9] = ["symbol", "ts", "close", "open", "high", "low", "volume", "trade_id", "source"];
const REQUIRED: usize = 3;

/// Names that files give to a field; a column of one is pointed out, never taken unasked.
const SIMILAR_NAMES: [(&str, &[&str]); 9] = [
    ("symbol", &["ticker", "name", "code", "pair", "instrument", "sym", "stock", "asset", "isin", "product_id"]),
    ("ts", &["time", "timestamp", "date", "datetime", "date_time", "epoch", "event_time", "trade_date", "day"]),
    ("close", &["price", "last", "last_price", "close_price", "c", "adj_close", "px", "value"]),
    ("open", &["o", "open_price", "first"]),
    ("high", &["h", "high_price", "max"]),
    ("low", &["l", "low_price", "min"]),
    ("volume", &["vol", "v", "qty", "quantity", "size", "amount", "shares"]),
    ("trade_id", &["id", "tid", "tradeid", "trade", "i"]),
    ("source", &["exchange", "venue", "market", "src", "feed"]),
];

/// Names of columns with dates, and of columns with the time of day that accompany them.
const DAYS: [&str; 4] = ["date", "day", "trade_date", "ts"];
const CLOCKS: [&str; 6] = ["time", "time_of_day", "clock", "hour", "trade_time", "timestamp"];

/// A file's columns by field. Only symbol, ts and close are there in every file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnMapping {
    pub symbol: String,
    pub ts: String,
    pub close: String,
    pub open: Option<String>,
    pub high: Option<String>,
    pub low: Option<String>,
    pub volume: Option<String>,
    pub trade_id: Option<String>,
    pub source: Option<String>,
}

/// Lower case, words joined by one underscore: `Last Price` and `last-price` are `last_price`.
fn plain(name: &str) -> String {
    let words = name.trim().split([' ', '-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

/// Keys by which the input reads a field, as columns may be named after them: `/q/last` is `q.last` or `last`.
fn keys_of(input: &InputSettings, field: &str) -> Vec<String> {
    let source = match field {
        "symbol" => &input.symbol,
        "ts" => &input.ts,
        "close" => &input.close,
        "open" => &input.open,
        "high" => &input.high,
        "low" => &input.low,
        "volume" => &input.volume,
        "trade_id" => &input.trade_id,
        _ => &input.source,
    };
    let Some(FieldSource::Pointer(pointer)) = source else { return Vec::new() };
    let tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    [Some(tokens.join(".")), tokens.last().cloned()].into_iter().flatten().collect()
}

struct HeaderNames<'a> {
    file: &'a str,
    columns: &'a [String],
}

impl HeaderNames<'_> {
    /// The column of that name, whatever its case where only one has it.
    fn find(&self, name: &str, field: &str) -> Result<Option<String>, ReplayError> {
        if let Some(column) = self.columns.iter().find(|column| *column == name) {
            return Ok(Some(column.clone()));
        }
        let mut alike = self.columns.iter().filter(|column| plain(column) == plain(name));
        let (first, second) = (alike.next(), alike.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Err(ReplayError::Content {
                file: self.file.to_owned(),
                problem: format!(
                    "columns '{}' and '{}' may both be {field}; set --{}-column",
                    shown(first),
                    shown(second),
                    flag(field)
                ),
            });
        }
        Ok(first.cloned())
    }

    /// All of them at once, each with its field.
    fn missing(&self, names: &[(&str, &str)]) -> ReplayError {
        let columns = || self.columns.iter().map(String::as_str);
        let meant = |(name, field): (&str, &str)| {
            let alike = columns().find(|column| similar_field(column) == Some(field));
            let which = if names.len() == 1 { "it" } else { name };
            alike.map_or_else(|| did_you_mean(name, columns()), |column| format!("; is {which} '{}'?", shown(column)))
        };
        ReplayError::NoColumn {
            file: self.file.to_owned(),
            names: listed(names.iter().map(|(name, _)| format!("'{name}'")), "or"),
            columns: self.columns.iter().map(|column| shown(column)).collect::<Vec<_>>().join(", "),
            meant: names.iter().copied().map(meant).collect(),
            flags: listed(names.iter().map(|(_, field)| format!("--{}-column", flag(field))), "and"),
        }
    }
}

/// `a, b or c`.
fn listed(names: impl Iterator<Item = String>, last: &str) -> String {
    let names: Vec<String> = names.collect();
    match names.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn flag(field: &str) -> String {
    field.replace('_', "-")
}

fn similar_field(column: &str) -> Option<&'static str> {
    let name = plain(column);
    SIMILAR_NAMES.into_iter().find(|(_, names)| names.contains(&name.as_str())).map(|(field, _)| field)
}

impl ColumnMapping {
    /// Columns by the names that were given, else by the field's own name, else by the key of the input.
    pub(super) fn new(
        file: &str,
        names: &ColumnNames,
        input: Option<&InputSettings>,
        columns: &[String],
    ) -> Result<Self, ReplayError> {
        let header = HeaderNames { file, columns };
        let ColumnNames { symbol, ts, close, open, high, low, volume, trade_id, source } = names;
        let named = [symbol, ts, close, open, high, low, volume, trade_id, source];
        let mut found: [Option<String>; FIELDS.len()] = Default::default();
        let mut missing = Vec::new();
        for (at, (field, named)) in FIELDS.into_iter().zip(named).enumerate() {
            let mut candidates = vec![named.as_deref().unwrap_or(field).to_owned()];
            if named.is_none() {
                candidates.extend(input.map(|input| keys_of(input, field)).unwrap_or_default());
            }
            for name in candidates {
                if found[at].is_none() {
                    found[at] = header.find(&name, field)?;
                }
            }
            if found[at].is_none() && (named.is_some() || at < REQUIRED) {
                missing.push((named.as_deref().unwrap_or(field), field));
            }
        }
        match found {
            [Some(symbol), Some(ts), Some(close), open, high, low, volume, trade_id, source] if missing.is_empty() => {
                Ok(Self { symbol, ts, close, open, high, low, volume, trade_id, source })
            }
            _ => Err(header.missing(&missing)),
        }
    }

    /// In the order of [`FIELDS`].
    fn columns(&self) -> [Option<&String>; 9] {
        let required = [&self.symbol, &self.ts, &self.close].map(Some);
        let optional = [&self.open, &self.high, &self.low, &self.volume, &self.trade_id, &self.source];
        let optional = optional.map(Option::as_ref);
        [
            required[0],
            required[1],
            required[2],
            optional[0],
            optional[1],
            optional[2],
            optional[3],
            optional[4],
            optional[5],
        ]
    }

    /// Positions of the columns in use, ascending.
    pub(super) fn projection(&self, header: &[String]) -> Vec<usize> {
        let first = |name: &String| header.iter().position(|column| column == name);
        let mut positions: Vec<usize> = self.columns().into_iter().flatten().filter_map(first).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Which columns were taken and which were left, and those of them that look like a field that has none.
    pub(super) fn report(&self, file: &str, header: &[String]) -> String {
        let taken = FIELDS.into_iter().zip(self.columns());
        let fields = taken.clone().filter_map(|(field, column)| {
            let column = column?;
            Some(if column == field { field.to_owned() } else { format!("{field} = {}", shown(column)) })
        });
        let fields: Vec<String> = fields.collect();
        let used: Vec<&String> = self.columns().into_iter().flatten().collect();
        let left: Vec<&String> = header.iter().filter(|column| !used.contains(column)).collect();
        let mut text = format!("{file}: columns {}", fields.join(", "));
        if !left.is_empty() {
            let names: Vec<String> = left.iter().map(|column| shown(column)).collect();
            text.push_str(&format!("; left out {}", names.join(", ")));
        }
        text.push('\n');
        for (field, _) in taken.skip(REQUIRED).filter(|(_, column)| column.is_none()) {
            if let Some(column) = left.iter().find(|column| similar_field(column) == Some(field)) {
                let column = shown(column);
                text.push_str(&format!(
                    "{file}: warning: '{column}' looks like {field} and is left out; take it with --{}-column \
                     '{column}'\n",
                    flag(field)
                ));
            }
        }
        if let Some(clock) = left.iter().find(|column| CLOCKS.contains(&plain(column).as_str()))
            && DAYS.contains(&plain(&self.ts).as_str())
        {
            text.push_str(&format!(
                "{file}: warning: '{clock}' is left out, so the ticks of a day in '{}' are all at midnight; make one \
                 column of both\n",
                self.ts
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(columns: &[&str]) -> Result<ColumnMapping, String> {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        ColumnMapping::new("x.csv", &ColumnNames::default(), None, &columns).map_err(|error| error.to_string())
    }

    #[test]
    fn names_match_in_any_case_and_the_exact_one_wins() {
        let found = mapping(&["SYMBOL", "Ts", "Close", "Trade ID", "volume", "Volume"]).unwrap();
        assert_eq!((found.symbol.as_str(), found.ts.as_str(), found.close.as_str()), ("SYMBOL", "Ts", "Close"));
        assert_eq!((found.trade_id.as_deref(), found.volume.as_deref()), (Some("Trade ID"), Some("volume")));
        let twice = mapping(&["Symbol", "SYMBOL", "ts", "close"]).unwrap_err();
        assert!(twice.contains("'Symbol' and 'SYMBOL' may both be symbol; set --symbol-column"), "{twice}");
    }

    #[test]
    fn a_missing_column_is_pointed_out() {
        let error = mapping(&["Ticker", "ts", "close"]).unwrap_err();
        assert!(error.contains("no column 'symbol'") && error.contains("is it 'Ticker'?"), "{error}");
        let error = mapping(&["symbl", "ts", "close"]).unwrap_err();
        assert!(error.contains("did you mean 'symbl'?"), "{error}");
        let error = mapping(&["symbl", "x\u{1b}[2J\nforged", "close"]).unwrap_err();
        assert!(error.contains("x\\u{1b}[2J\\nforged"), "{error}");
    }

    #[test]
    fn columns_may_be_named_after_the_keys_of_the_input() {
        let input: InputSettings =
            serde_json::from_str(r#"{"symbol":"/pair","ts":"/t/at","close":"/q/last","volume":"/vol"}"#).unwrap();
        let columns = ["Pair", "t.at", "last", "vol", "x"].map(str::to_owned);
        let found = ColumnMapping::new("x.csv", &ColumnNames::default(), Some(&input), &columns).unwrap();
        assert_eq!((found.symbol.as_str(), found.ts.as_str(), found.close.as_str()), ("Pair", "t.at", "last"));
        assert_eq!(
            found.report("x.csv", &columns),
            "x.csv: columns symbol = Pair, ts = t.at, close = last, volume = vol; left out x\n"
        );
    }

    #[test]
    fn a_time_of_day_that_is_left_out_is_a_warning() {
        let columns = ["symbol", "Date", "Time", "close"].map(str::to_owned);
        let names = ColumnNames { ts: Some("Date".to_owned()), ..ColumnNames::default() };
        let report = ColumnMapping::new("x.csv", &names, None, &columns).unwrap().report("x.csv", &columns);
        assert!(report.contains("warning: 'Time' is left out") && report.contains("at midnight"), "{report}");
    }

    #[test]
    fn the_report_names_what_looks_like_a_field() {
        let columns = ["symbol", "ts", "close", "Vol", "adj"].map(str::to_owned);
        let found = ColumnMapping::new("x.csv", &ColumnNames::default(), None, &columns).unwrap();
        assert_eq!(
            found.report("x.csv", &columns),
            "x.csv: columns symbol, ts, close; left out Vol, adj\n\
             x.csv: warning: 'Vol' looks like volume and is left out; take it with --volume-column 'Vol'\n"
        );
    }
}
