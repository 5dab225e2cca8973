//! `tickhouse query`: one statement over the tables of a lake.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{AskArgs, FormatChoice, GlobalArgs, QueryArgs, TableArgs};
use crate::cli::commands::ask::explain::explanation;
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::ask::tables::Tables;
use crate::cli::commands::ask::{elsewhere, repl};
use crate::cli::commands::print::{print, tell};
use crate::cli::settings::Settings;
use crate::engines::Engine;
use crate::lake::{Location, SIGNALS, StoreSettings, store_result};
use crate::query::{
    Ask, Catalog, Clock, DEAD_LETTERS, DEFAULT_MEMORY_BYTES, Dialect, Fit, Format, Header, NamedQuery, NamedTables,
    Output, Parsed, QueryError, QuerySession, TICKS, write_all, write_readable,
};

/// # Errors
/// The query failed, or was asked for wrongly.
pub async fn run(global: &GlobalArgs, args: &QueryArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    answer(global, args, &stop).await.map(|()| ExitCode::SUCCESS)
}

/// One statement of another command over the tables of the lake.
///
/// # Errors
/// As [`run`].
pub(in crate::cli::commands) async fn run_text(
    global: &GlobalArgs,
    table: &TableArgs,
    text: &str,
    params: &[(String, String)],
    format: FormatChoice,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let mut parsed = Parsed::parse(text)?;
    parsed.bind(params)?;
    let settings = Settings::resolve(global.config.as_deref(), |layers| table.apply(layers))?.settings;
    let (format, _) = output_of(format, None)?;
    let mut tables = Tables::of(&settings, DEFAULT_MEMORY_BYTES, stop).await?;
    let planned = tables.session().await?.plan(&parsed).await?;
    tables.close().await;
    write_readable(planned.run()?, format, chrono_tz::UTC, Output::to(io::stdout()), stop).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(global: &GlobalArgs, args: &QueryArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let catalog = Catalog::load(args.sql_dir.as_deref())?;
    if args.list {
        return print(&listing(&catalog));
    }
    if args.describe {
        let name = args.query.as_deref().unwrap_or_default().trim();
        return print(&description(name, &catalog.get(name)?.header));
    }
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?.settings;
    args.require_live().map_err(QueryError::Usage)?;
    if args.is_open() {
        elsewhere::refuse_prompt(settings.engine)?;
        return repl::run(global, args, stop).await;
    }
    let dialect = args.dialect.unwrap_or(settings.engine.dialect());
    let parsed = prepare(&text_of(args, &catalog, dialect)?, &args.ask, args.tz, (&catalog, dialect), &args.register)?;
    if args.show_sql {
        return print(&format!("{}\n", parsed.to_sql_for(dialect)?));
    }
    let (format, output) = output_of(args.format, args.output.as_deref())?;
    let target = Target::of(output)?;
    if args.live && settings.engine != Engine::Local {
        let problem = format!("--live is for --engine local: {} knows the table only", settings.engine.name());
        return Err(QueryError::Usage(problem).into());
    }
    if let Some(client) = elsewhere::client_of(&settings, args).await? {
        let sql = parsed.to_engine(settings.engine.dialect())?;
        return elsewhere::answer(&client, &sql, args, format, (&target, &settings.store), stop).await;
    }

    let mut tables = Tables::open(global, args, stop).await?;
    let zone = tables.market_zone().map(str::to_owned);
    let session = tables.session().await?;
    let planned = session.plan(&parsed).await;
    let notes = match &planned {
        Ok(_) if !args.explain => notes(session, zone.as_deref(), &args.ask, &parsed).await,
        // They cost reading, and are about an answer.
        _ => Ok(Vec::new()),
    };
    tables.close().await;
    let planned = planned?;
    notes?.iter().for_each(|line| tell(&format!("{line}\n")));
    if args.explain {
        return print(&explanation(&planned.explain(), &planned.reads().await?));
    }
    let line = ProgressLine::start(planned.progress());
    let write = async |output| write_all(planned.run()?, format, args.tz, output, stop).await;
    target.fill(&settings.store, &line, fit_of(args), stop, write).await
}

/// How a table fits where one statement is answered.
pub(in crate::cli::commands) fn fit_of(args: &QueryArgs) -> Option<Fit> {
    terminal_fit((args.max_rows > 0).then_some(args.max_rows), "--max-rows 0, --format csv or -o FILE show all")
}

/// How a table fits the terminal, if standard output is one.
pub(in crate::cli::commands) fn terminal_fit(rows: Option<usize>, way_to_all: &'static str) -> Option<Fit> {
    let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(Fit { width: usize::from(width), rows, way_to_all })
}

/// Where a result goes.
pub(in crate::cli::commands) enum Target<'a> {
    Stdout,
    File(&'a Path),
    Object(Location),
}

impl<'a> Target<'a> {
    pub(in crate::cli::commands) fn of(output: Option<&'a Path>) -> Result<Self, QueryError> {
        let Some(path) = output else { return Ok(Self::Stdout) };
        match path.to_str().filter(|text| text.starts_with("s3://") || text.starts_with("s3a://")) {
            Some(target) => object_at(target).map(Self::Object),
            None => Ok(Self::File(path)),
        }
    }

    /// An object is stored once `write` has written all of it. On a terminal tables are cut to `fit`.
    pub(in crate::cli::commands) async fn fill(
        &self,
        store: &StoreSettings,
        line: &ProgressLine,
        fit: Option<Fit>,
        stop: &CancellationToken,
        write: impl AsyncFnOnce(Output) -> Result<u64, QueryError>,
    ) -> anyhow::Result<()> {
        let (rows, name) = match self {
            Self::Stdout => {
                write(Output::to(line.before_stdout()).fitting(fit)).await?;
                return Ok(());
            }
            Self::File(path) => (write(Output::to_file(path)?).await?, path.display().to_string()),
            Self::Object(object) => {
                let folder = tempfile::tempdir().context("make a temporary folder")?;
                let file = folder.path().join("result");
                let rows = write(Output::to_file(&file)?).await?;
                let file = tokio::fs::File::open(&file).await.context("read the result")?;
                if !store_result(object, store, file, stop).await? {
                    return Err(QueryError::Cancelled.into());
                }
                (rows, object.to_string())
            }
        };
        let plural = if rows == 1 { "" } else { "s" };
        tell(&format!("wrote {rows} row{plural} to {name}\n"));
        Ok(())
    }
}

/// An object of the store, for a result.
fn object_at(target: &str) -> Result<Location, QueryError> {
    let usage = |problem: String| QueryError::Usage(format!("-o {target}: {problem}"));
    match Location::parse(target).map_err(|error| usage(error.to_string()))? {
        Location::S3 { prefix, .. } if prefix.is_empty() || target.ends_with('/') => {
            Err(usage("name an object, as in s3://bucket/results/answer.parquet".to_owned()))
        }
        location => Ok(location),
    }
}

/// A statement with its parameters, restricted to the ticks that are asked for. Names that are no tables may be those of
/// the catalogue.
///
/// # Errors
/// The text doesn't parse, or doesn't take what is asked.
pub(in crate::cli::commands) fn prepare(
    text: &str,
    ask: &AskArgs,
    zone: Tz,
    (catalog, dialect): (&Catalog, Dialect),
    registered: &[(String, String)],
) -> Result<Parsed, QueryError> {
    let AskArgs { symbol, from, to, cold, .. } = ask.clone();
    let registered = registered.iter().map(|(name, _)| name.as_str());
    let tables: Vec<&str> = [TICKS, DEAD_LETTERS, SIGNALS].into_iter().chain(registered).collect();
    Ask { table: TICKS, symbols: symbol, from, to, params: params_of(ask), cold, mark: "--" }.prepare_over(
        text,
        Clock::system(zone),
        NamedTables { catalog, dialect, tables: &tables },
    )
}

fn text_of(args: &QueryArgs, catalog: &Catalog, dialect: Dialect) -> Result<String, QueryError> {
    if let Some(path) = &args.file {
        let mut text = String::new();
        let read = if path.as_os_str() == "-" {
            io::stdin().read_to_string(&mut text).map(drop)
        } else {
            std::fs::read_to_string(path).map(|read| text = read)
        };
        read.map_err(|error| QueryError::Usage(format!("read {}: {error}", path.display())))?;
        return Ok(text);
    }
    let query = args.query.as_deref().unwrap_or_default().trim();
    if query.contains(char::is_whitespace) || query.trim_matches(';').is_empty() {
        return Ok(query.to_owned());
    }
    Ok(catalog.get(query)?.text_for(dialect).to_owned())
}

/// What standard error says with an answer, where scripts don't read it: the symbols that are asked for and that `ticks`
/// doesn't have, that all of them are older than the `since` of the query, and the zone of its dates.
///
/// # Errors
/// The table can't be read.
pub(in crate::cli::commands) async fn notes(
    session: &QuerySession,
    zone: Option<&str>,
    ask: &AskArgs,
    parsed: &Parsed,
) -> Result<Vec<String>, QueryError> {
    let mut lines = session.unknown_symbols(&ask.symbol).await?;
    lines.extend(session.too_old(parsed).await?);
    if parsed.header().columns.iter().any(|column| ["trade_date", "trade_dates"].contains(&column.name.as_str())) {
        lines.push(format!("trade dates are of {}", zone.unwrap_or("an unknown zone")));
    }
    Ok(lines)
}

fn params_of(args: &AskArgs) -> Vec<(String, String)> {
    let interval = args.interval.iter().map(|text| ("interval".to_owned(), text.clone()));
    args.params.iter().cloned().chain(interval).collect()
}

/// The format, and the file if there is one; - is standard output.
pub(in crate::cli::commands) fn output_of(
    format: FormatChoice,
    path: Option<&Path>,
) -> Result<(Format, Option<&Path>), QueryError> {
    let path = path.filter(|path| path.as_os_str() != "-");
    let terminal = path.is_none() && io::stdout().is_terminal();
    let format = match format {
        FormatChoice::Auto => Format::auto(path, terminal)?,
        FormatChoice::Is(format) => format,
    };
    if terminal && format.is_binary() {
        return Err(QueryError::Usage("this format is not for a terminal: write it to a file with -o".to_owned()));
    }
    if path.is_some() && format == Format::Null {
        return Err(QueryError::Usage("the format null writes nothing: leave out -o".to_owned()));
    }
    Ok((format, path))
}

/// The name and question of each query, by group; those without one are the user's own.
pub(in crate::cli::commands) fn listing(catalog: &Catalog) -> String {
    let mut groups: BTreeMap<&str, Vec<(&str, &NamedQuery)>> = BTreeMap::new();
    for (name, query) in catalog.iter() {
        groups.entry(query.header.group.as_deref().unwrap_or("own")).or_default().push((name, query));
    }
    let width = catalog.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    for (group, queries) in groups {
        line(format_args!("{group}"));
        for (name, query) in queries {
            let params: Vec<String> = query.header.params.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
            let params = if params.is_empty() { String::new() } else { format!("  [{}]", params.join(", ")) };
            line(format_args!("  {name:width$}  {}{params}", query.header.question));
        }
    }
    text
}

/// All that the header of a query says.
fn description(name: &str, header: &Header) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    line(format_args!("{name}: {}", header.question));
    for param in &header.params {
        line(format_args!("--param {}={}  {} ({})", param.name, param.default, param.description, param.kind));
    }
    for column in &header.columns {
        line(format_args!("column {} ({})  {}", column.name, column.kind, column.description));
    }
    if let Some(warm_up) = &header.warm_up {
        line(format_args!("warm-up: {warm_up}"));
    }
    for edge in &header.edges {
        line(format_args!("{edge}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::commands::{USAGE, exit_code};
    use crate::query::tests::lake::write_lake;

    async fn query(arguments: &[&str]) -> anyhow::Result<ExitCode> {
        let cli = Cli::try_parse_from(["tickhouse", "query"].iter().chain(arguments)).unwrap();
        let Command::Query(args) = &cli.command else { panic!("the subcommand is query") };
        run(&cli.global, args, CancellationToken::new()).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lake_in_a_folder_is_queried_into_files() {
        let folder = tempfile::tempdir().unwrap();
        write_lake(folder.path()).await;
        let table = folder.path().to_str().unwrap();
        let out = folder.path().join("out.csv");
        for (arguments, lines, first) in [
            (vec!["SELECT count(*) AS n FROM ticks"], 2, "160"),
            (vec!["SELECT count(*) AS n FROM dead_letters"], 2, "0"),
            (vec!["daily_summary", "--symbol", "AAPL"], 3, "AAPL,2026-01-05,100.0,"),
            (vec!["daily_summary", "--from", "2026-01-06"], 3, "AAPL,2026-01-06,100.0,"),
            (vec!["symbols", "--symbol", "AAPL,MSFT", "--to", "now"], 3, "AAPL,80,2,2026-01-05T00:00:00Z,"),
            (vec!["SELECT count(*) AS n FROM sma_crossover(fast => 5) WHERE ts >= TIMESTAMP '2026-01-06'"], 2, "80"),
            (
                vec!["SELECT count(*) AS n FROM bars, latest(since => '2026-01-01') l WHERE bars.symbol = l.symbol"],
                2,
                "4",
            ),
            (
                vec!["bars", "--interval", "1d", "--symbol", "MSFT"],
                3,
                "MSFT,2026-01-05T00:00:00Z,2026-01-06T00:00:00Z,",
            ),
            (vec!["latest", "--param", "since=2026-01-01"], 3, "AAPL,2026-01-06T00:01:18Z,"),
            (vec!["symbols", "--from", "yesterday"], 1, ""),
            (
                vec!["sma_crossover", "--symbol", "MSFT", "--param", "slow=10", "--to", "2026-01-05T00:00:10Z"],
                6,
                "MSFT,2026-01-05T00:00:01Z,100.0,1.0,,,,Hold,,false",
            ),
            (
                vec!["volume_confirmation", "--symbol", "AAPL", "--tz", "Asia/Kolkata"],
                81,
                "AAPL,2026-01-05T05:30:00+05:30,",
            ),
        ] {
            let mut all = arguments.clone();
            all.extend(["--table", table, "-o", out.to_str().unwrap()]);
            query(&all).await.unwrap();
            let text = std::fs::read_to_string(&out).unwrap();
            assert_eq!(text.lines().count(), lines, "{arguments:?}: {text}");
            assert!(text.lines().nth(1).unwrap_or_default().starts_with(first), "{arguments:?}: {text}");
        }
    }

    #[test]
    fn what_looks_back_does_so_from_the_end() {
        let catalog = Catalog::load(None).unwrap();
        let bound = |flags: &[&str]| {
            let cli = Cli::try_parse_from([&["tickhouse", "query", "movers"], flags].concat()).unwrap();
            let Command::Query(args) = cli.command else { panic!("the command is query") };
            let text = catalog.get("movers").unwrap().text_for(Dialect::Tickhouse);
            prepare(text, &args.ask, chrono_tz::UTC, (&catalog, Dialect::Tickhouse), &[]).unwrap().to_sql()
        };
        for (flags, since) in [
            (&["--to", "2026-01-06"][..], "2026-01-05 00:00:00"),
            (&["--to", "2026-01-06T12:00:00Z", "--param", "since=2h"], "2026-01-06 10:00:00"),
            (&["--from", "2026-01-05T12:00:00Z", "--to", "2026-01-06"], "2026-01-04 12:00:00"),
            (&["--from", "2026-01-05", "--param", "since=2026-01-05T01:00:00Z"], "2026-01-05 01:00:00"),
        ] {
            let sql = bound(flags);
            assert!(sql.contains(&format!("ts >= TIMESTAMP '{since}")), "{flags:?}: {sql}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn exit_codes_tell_wrong_use_from_failure() {
        let folder = tempfile::tempdir().unwrap();
        write_lake(folder.path()).await;
        let table = folder.path().to_str().unwrap();
        for wrong in [
            vec!["sma_crosover"],
            vec!["sma_crossover", "--param", "fats=3"],
            vec!["sma_crossover", "--param", "fast=0"],
            vec!["SELECT 1; SELECT 2"],
            vec![" ;"],
            vec!["SELECT FROM ticks"],
            vec!["SELECT 1", "--symbol", "AAPL"],
            vec!["daily_summary", "--from", "tomorrow"],
            vec!["daily_summary", "--interval", "5m"],
            vec!["bars", "--interval", "5"],
            vec!["bars", "--interval", "5m", "--param", "interval=1m"],
            vec!["brs", "--describe"],
            vec!["-f", "/nowhere/query.sql"],
            vec!["DROP TABLE ticks"],
            vec!["SELECT 1 AS one", "-o", "one.xyz"],
            vec!["SELECT 1 AS one", "-o", "one"],
            vec!["SELECT 1 AS one", "--engine", "trino"],
            vec!["--engine", "trino", "--trino-url", "http://127.0.0.1:1"],
            vec!["ema", "--engine", "trino", "--trino-url", "http://127.0.0.1:1"],
            vec!["DROP TABLE ticks", "--engine", "trino", "--trino-url", "http://127.0.0.1:1"],
            vec!["SELECT 1 AS one", "--engine", "trino", "--trino-url", "http://127.0.0.1:1", "--as-of", "1"],
            vec!["SELECT 1 AS one", "--engine", "trino", "--trino-url", "http://127.0.0.1:1", "--register", "x=x.csv"],
        ] {
            let mut all = wrong.clone();
            all.extend(["--table", table]);
            let code = exit_code(&query(&all).await.unwrap_err());
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(USAGE)), "{wrong:?}");
        }
        for failing in ["SELECT nothing FROM ticks", "SELEC 1", "SELECT 1 / (kafka_offset * 0) FROM ticks"] {
            assert!(query(&[failing, "--table", table]).await.is_err(), "{failing}");
        }
        assert!(query(&["SELECT 1 AS one", "--table", "/nowhere/lake"]).await.is_err());
        let away =
            query(&["SELECT 1 AS one", "--engine", "trino", "--trino-url", "http://127.0.0.1:1"]).await.unwrap_err();
        assert_ne!(format!("{:?}", exit_code(&away)), format!("{:?}", ExitCode::from(USAGE)), "{away}");
    }

    #[test]
    fn one_thing_is_asked_for() {
        for wrong in [
            &["query", "a", "--list"][..],
            &["query", "a", "--dialect", "duckdb"],
            &["query", "a", "-f", "b"],
            &["query", "a", "--tz", "x"],
        ] {
            assert!(Cli::try_parse_from(["tickhouse"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_list_has_a_line_for_each_query() {
        let catalog = Catalog::load(None).unwrap();
        let listing = listing(&catalog);
        assert_eq!(listing.lines().filter(|line| line.starts_with("  ")).count(), catalog.iter().count());
        assert!(listing.starts_with("signals\n") && listing.contains("\nsummaries\n"), "{listing}");
        assert!(listing.contains("[fast=9, slow=21]") && listing.contains("[since=7days]"), "{listing}");
        let bars = description("bars", &catalog.get("bars").unwrap().header);
        assert!(bars.contains("--param interval=5m") && bars.contains("column vwap (double)"), "{bars}");
    }
}
