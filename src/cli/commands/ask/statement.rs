//! Prepares a statement with its flags, and writes the notes on its result.

use chrono_tz::Tz;

use crate::cli::args::AskArgs;
use crate::lake::SIGNALS;
use crate::query::{
    DEAD_LETTERS, Dialect, NamedQueries, NamedTables, ParsedStatement, QueryClock, QueryError, QueryRequest,
    QuerySession, TICKS,
};

/// Fills in the parameters of a statement and restricts it to the requested ticks. Names that are not tables may be
/// named queries of the catalog.
///
/// # Errors
/// The text can't be parsed, or doesn't support one of the flags.
pub(in crate::cli::commands) fn prepare(
    text: &str,
    ask: &AskArgs,
    zone: Tz,
    (catalog, dialect): (&NamedQueries, Dialect),
    registered: &[(String, String)],
) -> Result<ParsedStatement, QueryError> {
    let AskArgs { symbol, from, to, cold, .. } = ask.clone();
    let registered = registered.iter().map(|(name, _)| name.as_str());
    let tables: Vec<&str> = [TICKS, DEAD_LETTERS, SIGNALS].into_iter().chain(registered).collect();
    QueryRequest { table: TICKS, symbols: symbol, from, to, params: params_of(ask), cold, mark: "--" }.prepare_over(
        text,
        QueryClock::system(zone),
        NamedTables { catalog, dialect, tables: &tables },
    )
}

fn params_of(args: &AskArgs) -> Vec<(String, String)> {
    let interval = args.interval.iter().map(|text| ("interval".to_owned(), text.clone()));
    args.params.iter().cloned().chain(interval).collect()
}

/// Notes on the result for standard error: requested symbols that `ticks` doesn't contain, whether all of their ticks
/// are older than the query's `since`, and the time zone of dates.
///
/// # Errors
/// The table can't be read.
pub(in crate::cli::commands) async fn notes(
    session: &QuerySession,
    zone: Option<&str>,
    ask: &AskArgs,
    parsed: &ParsedStatement,
) -> Result<Vec<String>, QueryError> {
    let mut lines = session.unknown_symbols(&ask.symbol).await?;
    lines.extend(session.too_old(parsed).await?);
    if parsed.header().columns.iter().any(|column| ["trade_date", "trade_dates"].contains(&column.name.as_str())) {
        lines.push(format!("trade dates are of {}", zone.unwrap_or("an unknown zone")));
    }
    Ok(lines)
}
