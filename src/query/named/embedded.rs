//! The queries of `sql/`, embedded into the binary; a folder of the user's overrides them by name.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;

use crate::query::error::QueryError;
use crate::query::named::header::{QueryHeader, is_name};
use crate::query::sql::dialect::Dialect;
use crate::util::suggest::did_you_mean;

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("../../../sql/", $name, ".sql")))),+] };
}

const EMBEDDED_QUERIES: [(&str, &str); 28] = embedded![
    "atr",
    "bars",
    "bollinger",
    "correlation",
    "daily_summary",
    "drawdown",
    "ema",
    "gaps",
    "late_ticks",
    "latest",
    "macd",
    "movers",
    "moving_averages",
    "obv",
    "price_alerts",
    "price_history",
    "rsi",
    "sma_crossover",
    "sma_crossover_partial",
    "symbols",
    "trend_volatility",
    "volatility",
    "volatility_share",
    "volume_by_symbol",
    "volume_confirmation",
    "vwap",
    "vwap_rolling",
    "zscore_anomalies",
];

/// Variants with the same results in SQL that other engines lack, which avoid a sort.
const DIALECT_OVERRIDES: [(&str, &str); 2] = [
    ("bars", include_str!("../../../sql/bars.tickhouse.sql")),
    ("daily_summary", include_str!("../../../sql/daily_summary.tickhouse.sql")),
];

/// A query with a name: its text, and what the text's header says.
#[derive(Debug, Clone)]
pub struct NamedQuery {
    /// The SQL for any engine.
    pub text: String,
    /// The SQL for a single engine, with the same header.
    exceptions: Vec<(Dialect, String)>,
    pub header: QueryHeader,
}

impl NamedQuery {
    /// The text to translate into this dialect.
    pub fn text_for(&self, dialect: Dialect) -> &str {
        let exception = self.exceptions.iter().find(|(only, _)| *only == dialect);
        exception.map_or(&self.text, |(_, text)| text)
    }

    fn except(&mut self, dialect: Dialect, statement: &str) {
        let header: String = self.text.split_inclusive('\n').take_while(|line| line.starts_with("--")).collect();
        self.exceptions.retain(|(only, _)| *only != dialect);
        self.exceptions.push((dialect, header + statement));
    }
}

#[derive(Debug, Clone)]
pub struct NamedQueries {
    queries: BTreeMap<String, NamedQuery>,
}

impl NamedQueries {
    /// Embedded queries, overridden and extended by the `NAME.sql` files of `folder`.
    ///
    /// # Errors
    /// The folder can't be read, a file has no usable name or a wrong header.
    pub fn load(folder: Option<&Path>) -> Result<Self, QueryError> {
        let mut catalog = Self { queries: BTreeMap::new() };
        for (name, text) in EMBEDDED_QUERIES {
            catalog.add(name, text.to_owned(), name)?;
        }
        for (name, statement) in DIALECT_OVERRIDES {
            if let Some(query) = catalog.queries.get_mut(name) {
                query.except(Dialect::Tickhouse, statement);
            }
        }
        let Some(folder) = folder else { return Ok(catalog) };
        let wrong = |error: std::io::Error| QueryError::usage(format!("read queries of {}: {error}", folder.display()));
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            paths.push(entry.map_err(wrong)?.path());
        }
        paths.sort();
        let mut exceptions = Vec::new();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "sql")) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(path)
                .map_err(|error| QueryError::usage(format!("read {}: {error}", path.display())))?;
            if let Some((name, dialect)) = stem.split_once('.') {
                exceptions.push((path, name.to_owned(), dialect.to_owned(), text));
                continue;
            }
            if !is_name(&stem) {
                return Err(QueryError::usage(format!("{}: a query's name holds a-z, 0-9 and _ only", path.display())));
            }
            catalog.add(&stem, text, &path.display().to_string())?;
        }
        for (path, name, dialect, statement) in exceptions {
            let wrong = |problem: &str| QueryError::usage(format!("{}: {problem}", path.display()));
            let dialect = Dialect::from_str(&dialect, false)
                .map_err(|_| wrong("NAME.ENGINE.sql is for tickhouse, duckdb, clickhouse, spark, trino or athena"))?;
            let query = catalog.queries.get_mut(&name);
            query.ok_or_else(|| wrong(&format!("there is no query named '{name}'")))?.except(dialect, &statement);
        }
        Ok(catalog)
    }

    fn add(&mut self, name: &str, text: String, origin: &str) -> Result<(), QueryError> {
        let header = QueryHeader::parse(&text).map_err(|problem| QueryError::usage(format!("{origin}: {problem}")))?;
        self.queries.insert(name.to_owned(), NamedQuery { text, exceptions: Vec::new(), header });
        Ok(())
    }

    /// # Errors
    /// There is no query of that name; the error suggests one.
    pub fn get(&self, name: &str) -> Result<&NamedQuery, QueryError> {
        self.queries.get(name).ok_or_else(|| {
            let hint = did_you_mean(name, self.queries.keys().map(String::as_str));
            QueryError::usage(format!("there is no query named '{name}'{hint} (`tickhouse query --list` shows all)"))
        })
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamedQuery)> {
        self.queries.iter().map(|(name, query)| (name.as_str(), query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::named::warm_up::WarmUp;
    use crate::query::sql::statement::ParsedStatement;

    #[test]
    fn every_embedded_query_parses_binds_and_has_a_description() {
        let catalog = NamedQueries::load(None).unwrap();
        assert_eq!(catalog.iter().count(), EMBEDDED_QUERIES.len());
        for (name, query) in catalog.iter() {
            assert!(query.header.question.ends_with('?'), "{name}");
            assert!(!query.header.columns.is_empty() && !query.header.edges.is_empty(), "{name}");
            for dialect in [Dialect::Tickhouse, Dialect::Spark] {
                let mut parsed = ParsedStatement::parse(query.text_for(dialect)).unwrap();
                parsed.bind(&[]).unwrap();
                assert!(!parsed.to_sql().contains('$'), "{name}");
            }
            let warm_up = query.header.warm_up.as_ref();
            let warm_up =
                warm_up.unwrap_or_else(|| panic!("{name} has no warm-up: from where on is its first row right?"));
            for dialect in [Dialect::Tickhouse, Dialect::Spark] {
                assert_eq!(query.text_for(dialect).contains("$range"), *warm_up != WarmUp::None, "{name}");
            }
            assert!(matches!(query.header.group.as_deref(), Some("signals" | "summaries")), "{name}");
            for param in &query.header.params {
                assert!(query.text.contains(&format!("${}", param.name)), "{name} uses {}", param.name);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        let embedded = NamedQueries::load(None).unwrap();
        let with_files = NamedQueries::load(Some(&folder)).unwrap();
        assert_eq!(embedded.queries.keys().collect::<Vec<_>>(), with_files.queries.keys().collect::<Vec<_>>());
    }

    #[test]
    fn a_folder_overrides_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("daily_summary.sql"), "-- Mine?\nSELECT 1").unwrap();
        std::fs::write(folder.path().join("mine.sql"), "SELECT 2").unwrap();
        std::fs::write(folder.path().join("mine.trino.sql"), "SELECT 3").unwrap();
        let catalog = NamedQueries::load(Some(folder.path())).unwrap();
        assert_eq!(catalog.get("daily_summary").unwrap().header.question, "Mine?");
        for dialect in [Dialect::Tickhouse, Dialect::Spark] {
            assert!(catalog.get("daily_summary").unwrap().text_for(dialect).ends_with("SELECT 1"), "{dialect:?}");
            assert_eq!(catalog.get("mine").unwrap().text_for(dialect), "SELECT 2");
        }
        assert_eq!(catalog.get("mine").unwrap().text_for(Dialect::Trino), "SELECT 3");
        for (name, word) in [("mine.oracle.sql", "NAME.ENGINE.sql"), ("yours.trino.sql", "no query named 'yours'")] {
            std::fs::write(folder.path().join(name), "SELECT 3").unwrap();
            assert!(NamedQueries::load(Some(folder.path())).unwrap_err().to_string().contains(word), "{name}");
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        assert_eq!(catalog.iter().count(), EMBEDDED_QUERIES.len() + 1);
        std::fs::write(folder.path().join("bad.sql"), "-- param x\nSELECT 2").unwrap();
        assert!(NamedQueries::load(Some(folder.path())).unwrap_err().to_string().contains("bad.sql: line 1"));
        let missing = NamedQueries::load(Some(&folder.path().join("none"))).unwrap_err();
        assert!(matches!(missing, QueryError::Usage(_)));
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        let error = NamedQueries::load(None).unwrap().get("sma_crosover").unwrap_err().to_string();
        assert!(error.contains("did you mean 'sma_crossover'?"), "{error}");
    }
}
