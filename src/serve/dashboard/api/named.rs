//! The queries that can be requested by name: those of the catalog, and the rows of `ticks` and `signals`.

use chrono::{DateTime, SubsecRound, Utc};

use crate::live::EventKind;
use crate::query::{Dialect, NamedQueries, OutputColumn, ParsedStatement, QueryClock, QueryHeader, QueryParam, TICKS};
use crate::serve::dashboard::api::request::{ApiRequest, DOWNLOAD_LIMIT, ROW_LIMIT};
use crate::serve::http::Problem;
use crate::util::suggest::did_you_mean;

/// A table that a lake may have in addition to `ticks`.
pub(in crate::serve::dashboard) const SIGNALS: &str = "signals";
/// Default of the parameter `kind`.
const ALL_KINDS: &str = "all";
/// Default limit of rows of `ticks` and `signals`.
const PAGE: usize = 1_000;

const TICKS_SQL: &str = "\
-- Which ticks came last?
-- param rows count 1000 Rows
-- column symbol string Instrument
-- column ts timestamp Event time
-- column open double Open of the tick
-- column high double High of the tick
-- column low double Low of the tick
-- column close double Close
-- column volume double Volume
-- column trade_id string Identity of the trade
-- column source string Where it comes from
-- column kafka_partition integer Partition of the topic
-- column kafka_offset bigint Offset in it
SELECT symbol, ts, open, high, low, close, volume, trade_id, source, kafka_partition, kafka_offset
FROM ticks
ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
LIMIT $rows
";

const SIGNALS_SQL: &str = "\
-- Which signals came last?
-- param rows count 1000 Rows
-- param kind string all Kinds of events, by commas
-- column symbol string Instrument
-- column ts timestamp Event time of the tick
-- column kind string signal, cross, anomaly, price_alert or rule
-- column name string Of the query or the rule
-- column side string Buy, Sell, Hold; golden, death; High, Low; Up, Down
-- column confirmed boolean Whether the volume rose with it
-- column severity string info, warning or critical
-- column close double Close
-- column volume double Volume
-- column value double What was looked at
-- column id string Identity
SELECT symbol, ts, kind, name, side, confirmed, severity, close, volume, value, id
FROM signals
WHERE $kind = 'all' OR strpos(',' || $kind || ',', ',' || kind || ',') > 0
ORDER BY ts DESC, id DESC
LIMIT $rows
";

pub(in crate::serve::dashboard) struct Named {
    catalog: NamedQueries,
    ticks: QueryHeader,
    signals: QueryHeader,
}

/// A prepared statement, and how many rows of its result to return.
#[derive(Debug, Clone)]
pub(in crate::serve::dashboard) struct Prepared {
    pub(in crate::serve::dashboard) name: String,
    pub(in crate::serve::dashboard) parsed: ParsedStatement,
    /// The table that the statement reads. If the table doesn't exist, the result is empty.
    pub(in crate::serve::dashboard) needs: &'static str,
    pub(in crate::serve::dashboard) rows: usize,
    /// Whether the last rows are kept instead of the first.
    pub(in crate::serve::dashboard) newest: bool,
}

impl Named {
    /// Creates the queries from the catalog.
    ///
    /// # Errors
    /// The header of an additional query is invalid, which a test rules out.
    pub(in crate::serve::dashboard) fn new(catalog: NamedQueries) -> Result<Self, String> {
        Ok(Self { catalog, ticks: QueryHeader::parse(TICKS_SQL)?, signals: QueryHeader::parse(SIGNALS_SQL)? })
    }

    /// All queries: the name, the header, and the parameters that a URL may set.
    pub(in crate::serve::dashboard) fn all(&self) -> impl Iterator<Item = (&str, &QueryHeader, Vec<&QueryParam>)> {
        let catalog = self.catalog.iter().map(|(name, query)| (name, &query.header));
        let all = catalog.chain([(TICKS, &self.ticks), (SIGNALS, &self.signals)]);
        all.map(|(name, header)| (name, header, params_of(name, header).collect()))
    }

    /// Columns of a table that may be missing.
    pub(in crate::serve::dashboard) fn columns_of(&self, table: &str) -> &[OutputColumn] {
        if table == SIGNALS { &self.signals.columns } else { &self.ticks.columns }
    }

    /// Prepares the statement of a request.
    ///
    /// # Errors
    /// There is no query of that name, or it doesn't support a parameter of the request.
    pub(in crate::serve::dashboard) fn prepare(
        &self,
        name: &str,
        asked: &ApiRequest,
        now: DateTime<Utc>,
    ) -> Result<Prepared, Problem> {
        let most_rows = if asked.format.is_some() { DOWNLOAD_LIMIT } else { ROW_LIMIT };
        // The time is truncated to seconds, so that all requests within one second have the same statement and share a
        // cached response.
        let clock = QueryClock { zone: asked.zone, now: now.trunc_subsecs(0) };
        let (text, table) = match name {
            TICKS => (TICKS_SQL, TICKS),
            SIGNALS => (SIGNALS_SQL, SIGNALS),
            _ => {
                let query = self.catalog.get(name).map_err(|_| self.unknown(name))?;
                let parsed = asked.ask(TICKS).prepare(query.text_for(Dialect::Tickhouse), clock)?;
                let rows = asked.limit.unwrap_or(most_rows);
                return Ok(Prepared { name: name.to_owned(), parsed, needs: TICKS, rows, newest: asked.newest });
            }
        };
        let rows = asked.limit.unwrap_or(if asked.format.is_some() { most_rows } else { PAGE });
        let mut ask = asked.ask(table);
        let header = if table == SIGNALS { &self.signals } else { &self.ticks };
        for (given, value) in &ask.params {
            if params_of(name, header).all(|param| param.name != *given) {
                return Err(Problem::wrong(format!("{name} has no parameter '{given}'")));
            }
            known_kinds(value)?;
        }
        // One row more than requested is read, to detect whether there are further rows.
        ask.params.push(("rows".to_owned(), (rows + 1).min(DOWNLOAD_LIMIT).to_string()));
        let parsed = ask.prepare(text, clock)?;
        Ok(Prepared { name: name.to_owned(), parsed, needs: table, rows, newest: false })
    }

    fn unknown(&self, name: &str) -> Problem {
        let names = self.catalog.iter().map(|(name, _)| name).chain([TICKS, SIGNALS]);
        let message = format!("there is no query named '{name}'{}", did_you_mean(name, names));
        Problem::new(axum::http::StatusCode::NOT_FOUND, message).hint("/api/meta lists them")
    }
}

/// Parameters of a query that a URL may set. For the rows of a table, `limit` sets the number of rows instead.
fn params_of<'a>(name: &str, header: &'a QueryHeader) -> impl Iterator<Item = &'a QueryParam> {
    let is_table = name == TICKS || name == SIGNALS;
    header.params.iter().filter(move |param| !(is_table && param.name == "rows"))
}

/// Checks the value of the parameter `kind`.
///
/// # Errors
/// The value contains an unknown kind.
fn known_kinds(value: &str) -> Result<(), Problem> {
    let names = EventKind::ALL.map(EventKind::name);
    let unknown = value.split(',').find(|kind| *kind != ALL_KINDS && !names.contains(kind));
    unknown.map_or(Ok(()), |kind| {
        let hint = did_you_mean(kind, names);
        Err(Problem::wrong(format!("kind: '{kind}' is none of {ALL_KINDS}, {}{hint}", names.join(", "))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(name: &str, query: &str) -> Result<Prepared, Problem> {
        let named = Named::new(NamedQueries::load(None).unwrap()).unwrap();
        named.prepare(name, &ApiRequest::parse(query, "").unwrap(), "2026-01-06T12:00:00.7Z".parse().unwrap())
    }

    #[test]
    fn every_query_is_prepared() {
        let named = Named::new(NamedQueries::load(None).unwrap()).unwrap();
        for (name, ..) in named.all() {
            let prepared = prepare(name, "symbol=A&from=2026-01-05&to=2026-01-06").unwrap();
            assert!(prepared.parsed.to_sql().contains("symbol IN ('A')"), "{name}");
        }
        let sql = |query: &str| prepare("bars", query).unwrap().parsed.to_sql();
        assert!(sql("interval=30s&p.candles=true&from=2h").contains("2026-01-06 10:00:00+00:00"));
        let ticks = prepare(TICKS, "limit=5&before=1767607200000").unwrap();
        let alerts = prepare(SIGNALS, "p.kind=rule,price_alert").unwrap().parsed.to_sql();
        assert!(alerts.contains("strpos(',' || 'rule,price_alert' || ',', ',' || kind || ',')"), "{alerts}");
        assert_eq!(ticks.rows, 5);
        let text = ticks.parsed.to_sql();
        assert!(text.contains("LIMIT 6") && text.contains("ts < TIMESTAMP '2026-01-05 10:00:00+00:00'"), "{text}");
    }

    #[test]
    fn values_stay_values() {
        let hostile = "symbol=x%27%29%20OR%201%3D1%20--";
        let text = prepare("bars", hostile).unwrap().parsed.to_sql();
        assert!(text.contains("symbol IN ('x'') OR 1=1 --')"), "{text}");
    }

    #[test]
    fn what_a_query_doesn_t_take_is_told() {
        for (name, query, expected) in [
            ("brs", "", "did you mean 'bars'?"),
            ("SELECT 1", "", "no query named"),
            ("../x", "", "no query named"),
            ("latest", "interval=5m", "no parameter 'interval'"),
            ("bars", "interval=5", "5m"),
            ("bars", "interval=1m'%3B%20DROP", "no interval"),
            ("sma_crossover", "p.fats=3", "did you mean 'fast'?"),
            ("sma_crossover", "p.fast=0", "whole number from 1"),
            ("ticks", "p.rows=3", "no parameter 'rows'"),
            ("ticks", "p.kind=rule", "no parameter 'kind'"),
            ("signals", "p.kind=rule,alert", "'alert' is none of all, signal, cross"),
            ("ticks", "interval=5m", "no parameter 'interval'"),
            ("bars", "from=2026-01-06&to=2026-01-05", "2026-01-06 is not before to 2026-01-05"),
            ("bars", "from=-262143-01-01", "too far away"),
            ("bars", "from=2026-01-05&to=%2B262142-12-31", "too far away"),
            ("bars", "from=tomorrow", "from: 'tomorrow' is neither"),
        ] {
            let problem = prepare(name, query).unwrap_err();
            assert!(problem.message.contains(expected), "{name} {query}: {problem:?}");
        }
    }
}
