//! How far before its range a statement must read, so that each symbol of the range has the rows that windows need.
//!
//! A statement with a [`RowDemand`] is right as it is, but reads all rows before the range. Here it gets a bound: rows
//! of each symbol are counted back from the range, in steps of growing size, until it has enough or there are no more.
//! A symbol with few rows, such as one that is hardly traded, is read back farther than the others by its name.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use chrono::DateTime;
use datafusion::sql::sqlparser::ast::Expr;
use futures::TryStreamExt;

use crate::query::error::QueryError;
use crate::query::named::demand::RowDemand;
use crate::query::named::warm_up::UntilCondition;
use crate::query::session::pruning::CUT_MICROS;
use crate::query::session::query_session::{PlannedQuery, QuerySession};
use crate::query::sql::scope::{TickScope, TimeBound, since};
use crate::query::sql::statement::ParsedStatement;

/// Symbols that are named in a statement, or in a count.
const MOST_NAMED: usize = 128;
/// How many times as many rows each step reads as the previous one.
const STEP_GROWTH: u64 = 4;
/// How many more rows are read at a time until one fulfills the condition.
const MORE_ROWS: u64 = 16;
/// Beyond this number all rows are read.
const MOST_ROWS: u64 = 1_000_000;

/// Rows counted by their distance: bucket `d` holds those that are 2^d to 2^(d+1) microseconds before.
const COUNT: &str = "\
-- param reference integer 0 End of the rows that are counted
SELECT
  symbol,
  FLOOR(LOG2(CAST(GREATEST($reference - CAST(ts AS BIGINT), 1) AS DOUBLE))) AS distance,
  COUNT(*) AS ticks, MIN(close) AS lowest, MAX(close) AS highest
FROM ticks GROUP BY 1, 2";

impl QuerySession {
    /// Plans a statement that only reads.
    ///
    /// # Errors
    /// The statement names what doesn't exist, doesn't type-check, or is no query.
    pub async fn plan(&self, parsed: &ParsedStatement) -> Result<PlannedQuery, QueryError> {
        let bounded = bounded(self, parsed).await?;
        self.plan_as_is(bounded.as_ref().unwrap_or(parsed)).await
    }
}

/// The statement with a bound for the rows before its range; `None` where it is fine as it is.
///
/// # Errors
/// The rows can't be counted.
async fn bounded(session: &QuerySession, parsed: &ParsedStatement) -> Result<Option<ParsedStatement>, QueryError> {
    let Some(demand) = &parsed.demand else { return Ok(None) };
    let Some(steps) = steps(session, demand) else { return Ok(None) };
    let mut history = RowHistory { session, demand, steps, symbols: symbols_of_range(session, demand).await? };
    let mut open: BTreeSet<String> = history.symbols.keys().cloned().collect();
    let mut bounds: Vec<(i64, String)> = Vec::new();
    let mut rows = demand.rows;
    while !open.is_empty() {
        history.count(&open, rows).await?;
        let reached: Vec<(i64, String)> =
            open.iter().map(|symbol| (history.bound(symbol, rows), symbol.clone())).collect();
        let settled = match &demand.probe {
            Some(probe) => settled(session, demand, ParsedStatement::of_probe(probe.clone()), &reached).await?,
            None => open.clone(),
        };
        for (bound, symbol) in reached {
            if settled.contains(&symbol) || history.is_at_start(&symbol, rows) {
                open.remove(&symbol);
                bounds.push((bound, symbol));
            }
        }
        rows = rows.saturating_mul(MORE_ROWS);
        if rows > MOST_ROWS.max(demand.rows) {
            bounds.extend(std::mem::take(&mut open).into_iter().map(|symbol| (i64::MIN, symbol)));
        }
    }
    let mut narrowed = parsed.clone();
    narrowed.demand = None;
    if let Some(condition) = condition(bounds, demand.first_of_range()) {
        narrowed.narrow(demand.table, condition)?;
    }
    Ok(Some(narrowed))
}

/// Instants, each farther back than the one before, between which files hold more and more rows; the last is the start.
fn steps(session: &QuerySession, demand: &RowDemand) -> Option<Vec<i64>> {
    let files = session.files_of(demand.table)?;
    let (first, last) = (demand.first_of_range(), demand.last_before());
    let (mut before, mut beyond) = (Vec::new(), 0);
    for (span, rows) in files.spans() {
        let (rows, (oldest, newest)) = (rows.unwrap_or(0), span.unwrap_or((i64::MIN, i64::MAX)));
        if newest.saturating_add(CUT_MICROS) >= first {
            beyond += rows;
        }
        if oldest < last {
            before.push((newest, rows));
        }
    }
    let rows: u64 = before.iter().map(|(_, rows)| rows).sum();
    if rows <= session.look_back.few_rows || rows <= beyond / 2 {
        return None;
    }
    before.sort_unstable_by_key(|(newest, _)| std::cmp::Reverse(*newest));
    let (mut steps, mut rows, mut enough) = (Vec::new(), 0, session.look_back.first_step);
    for (newest, more) in before {
        let after = newest.saturating_add(CUT_MICROS + 1);
        if rows >= enough && after < last && steps.last().is_none_or(|step| after < *step) {
            steps.push(after);
            (rows, enough) = (0, enough.saturating_mul(STEP_GROWTH));
        }
        rows += more;
    }
    steps.push(i64::MIN);
    Some(steps)
}

async fn symbols_of_range(
    session: &QuerySession,
    demand: &RowDemand,
) -> Result<BTreeMap<String, CountedRows>, QueryError> {
    let mut statement = ParsedStatement::parse(&format!("SELECT DISTINCT symbol FROM {}", demand.table))?;
    statement.restrict_table(&demand.range, demand.table)?;
    Ok(symbols_in(&run(session, &statement).await?)
        .into_iter()
        .map(|symbol| (symbol, CountedRows::default()))
        .collect())
}

/// The symbols that have a row for which the condition holds, in what is read from these bounds on.
async fn settled(
    session: &QuerySession,
    demand: &RowDemand,
    mut probe: ParsedStatement,
    bounds: &[(i64, String)],
) -> Result<BTreeSet<String>, QueryError> {
    if bounds.len() <= MOST_NAMED {
        let symbols = bounds.iter().map(|(_, symbol)| symbol.clone()).collect();
        probe.restrict_table(&TickScope { symbols, from: None, to: None }, demand.table)?;
    }
    if let Some(condition) = condition(bounds.to_vec(), demand.first_of_range()) {
        probe.narrow(demand.table, condition)?;
    }
    Ok(symbols_in(&run(session, &probe).await?))
}

/// Rows of a symbol by their distance, as far as they are counted.
#[derive(Debug, Default)]
struct CountedRows {
    /// Steps that are counted.
    steps: usize,
    at: BTreeMap<i64, DistanceBucket>,
}

#[derive(Debug, Clone, Copy)]
struct DistanceBucket {
    rows: u64,
    lowest: f64,
    highest: f64,
}

struct RowHistory<'a> {
    session: &'a QuerySession,
    demand: &'a RowDemand,
    /// Where each step begins.
    steps: Vec<i64>,
    symbols: BTreeMap<String, CountedRows>,
}

impl RowHistory<'_> {
    /// Counts back until each of the symbols has so many rows, or all are counted.
    async fn count(&mut self, symbols: &BTreeSet<String>, rows: u64) -> Result<(), QueryError> {
        loop {
            let short = symbols.iter().filter_map(|symbol| {
                let counted = self.symbols.get(symbol)?;
                let is_short = counted.steps < self.steps.len() && self.distance(counted, rows).is_none();
                is_short.then_some((counted.steps, symbol))
            });
            let short: Vec<(usize, &String)> = short.collect();
            let Some(step) = short.iter().map(|(step, _)| *step).min() else { return Ok(()) };
            let names: BTreeSet<String> =
                short.into_iter().filter(|(at, _)| *at == step).map(|(_, name)| name.clone()).collect();
            self.count_step(step, &names).await?;
        }
    }

    async fn count_step(&mut self, step: usize, names: &BTreeSet<String>) -> Result<(), QueryError> {
        let bound = |micros: i64| DateTime::from_timestamp_micros(micros).map(TimeBound::Time);
        let mut statement = ParsedStatement::parse(COUNT)?;
        statement.bind(&[("reference".to_owned(), self.demand.last_before().to_string())])?;
        let symbols = if names.len() <= MOST_NAMED { names.iter().cloned().collect() } else { Vec::new() };
        let range = TickScope { symbols, from: bound(self.steps[step]), to: Some(self.demand.from) };
        statement.restrict_table(&range, self.demand.table)?;
        if let Some(newer) = step.checked_sub(1) {
            let range = TickScope { symbols: Vec::new(), from: None, to: bound(self.steps[newer]) };
            statement.restrict_table(&range, self.demand.table)?;
        }
        for batch in run(self.session, &statement).await? {
            let symbols = batch.column(0).as_string::<i32>();
            let distances = batch.column(1).as_primitive::<Float64Type>();
            let rows = batch.column(2).as_primitive::<Int64Type>();
            let lowest = batch.column(3).as_primitive::<Float64Type>();
            let highest = batch.column(4).as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let Some(counted) = self.symbols.get_mut(symbols.value(row)).filter(|counted| counted.steps == step)
                else {
                    continue;
                };
                let found = DistanceBucket {
                    rows: rows.value(row).unsigned_abs(),
                    lowest: lowest.value(row),
                    highest: highest.value(row),
                };
                let bucket = counted.at.entry(distances.value(row) as i64);
                bucket.and_modify(|bucket| bucket.add(&found)).or_insert(found);
            }
        }
        for name in names {
            if let Some(counted) = self.symbols.get_mut(name) {
                counted.steps = step + 1;
            }
        }
        Ok(())
    }

    /// The bucket with which there are so many rows; `None` if there never are.
    fn distance(&self, counted: &CountedRows, rows: u64) -> Option<i64> {
        let mut found = 0;
        let mut moved = self.demand.until != UntilCondition::Move;
        for (distance, bucket) in &counted.at {
            found += if moved { bucket.rows } else { 0 };
            if found >= rows {
                return Some(*distance);
            }
            // What is in the same bucket may be after the move.
            moved |= bucket.lowest < bucket.highest;
        }
        None
    }

    /// Rows are read from here on.
    fn bound(&self, symbol: &str, rows: u64) -> i64 {
        let Some(counted) = self.symbols.get(symbol) else { return i64::MIN };
        let farthest = counted.at.keys().next_back().copied();
        let Some(distance) = self.distance(counted, rows).or(farthest) else { return i64::MAX };
        let length =
            u32::try_from(distance + 1).ok().and_then(|bits| 1_i64.checked_shl(bits)).filter(|_| distance < 61);
        length.map_or(i64::MIN, |length| self.demand.last_before().saturating_sub(length))
    }

    /// All rows of the symbol are counted and don't suffice.
    fn is_at_start(&self, symbol: &str, rows: u64) -> bool {
        self.symbols
            .get(symbol)
            .is_none_or(|counted| counted.steps == self.steps.len() && self.distance(counted, rows).is_none())
    }
}

impl DistanceBucket {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
    }
}

/// Rows since the bound of each symbol, and maybe more of them; `None` for all rows.
fn condition(mut bounds: Vec<(i64, String)>, first_of_range: i64) -> Option<Expr> {
    // A time before the first year can't be written.
    const FIRST: i64 = -62_135_596_800_000_000;
    let bound =
        |micros: i64| if micros > FIRST { DateTime::from_timestamp_micros(micros).map(TimeBound::Time) } else { None };
    bounds.iter_mut().for_each(|(bound, _)| *bound = (*bound).min(first_of_range));
    bounds.sort_unstable();
    let farthest = bounds.first().map_or(first_of_range, |(bound, _)| *bound);
    let most = bounds.get(MOST_NAMED.min(bounds.len().saturating_sub(1))).map_or(first_of_range, |(bound, _)| *bound);
    let is_near = first_of_range.saturating_sub(farthest) <= first_of_range.saturating_sub(most).saturating_mul(2);
    if is_near {
        return since(bound(farthest), Vec::new(), None);
    }
    let named = bounds.into_iter().take_while(|(bound, _)| *bound < most).map(|(_, symbol)| symbol).collect();
    since(bound(most), named, bound(farthest))
}

async fn run(session: &QuerySession, statement: &ParsedStatement) -> Result<Vec<RecordBatch>, QueryError> {
    session.plan_as_is(statement).await?.batches()?.try_collect().await
}

/// Values of the first column.
fn symbols_in(batches: &[RecordBatch]) -> BTreeSet<String> {
    let symbols = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    symbols.map(str::to_owned).collect()
}
