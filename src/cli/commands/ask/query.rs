//! `tickhouse query`: runs a statement on the tables of a lake.

use std::io::{self, Read};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::args::{FormatChoice, GlobalArgs, QueryArgs, TableArgs};
use crate::cli::commands::ask::explain::explanation;
use crate::cli::commands::ask::listing::{description, listing};
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::ask::statement::{notes, prepare};
use crate::cli::commands::ask::tables::Tables;
use crate::cli::commands::ask::target::{Target, fit_of, output_of};
use crate::cli::commands::ask::{other_engine, repl};
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::Settings;
use crate::engines::QueryEngine;
use crate::query::{
    DEFAULT_MEMORY_BYTES, Dialect, NamedQueries, ParsedStatement, QueryError, ResultOutput, write_all, write_readable,
};

/// Runs the command.
///
/// # Errors
/// The query failed, or the usage is wrong.
pub async fn run(global: &GlobalArgs, args: &QueryArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    answer(global, args, &stop).await.map(|()| ExitCode::SUCCESS)
}

/// Runs a statement for another command.
///
/// # Errors
/// The same as for [`run`].
pub(in crate::cli::commands) async fn run_text(
    global: &GlobalArgs,
    table: &TableArgs,
    text: &str,
    params: &[(String, String)],
    format: FormatChoice,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let mut parsed = ParsedStatement::parse(text)?;
    parsed.bind(params)?;
    let settings = Settings::resolve(global.config.as_deref(), |layers| table.apply(layers))?.settings;
    let (format, _) = output_of(format, None)?;
    let mut tables = Tables::of(&settings, DEFAULT_MEMORY_BYTES, stop).await?;
    let planned = tables.session().await?.plan(&parsed).await?;
    tables.close().await;
    write_readable(planned.run()?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()), stop).await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer(global: &GlobalArgs, args: &QueryArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let catalog = NamedQueries::load(args.sql_dir.as_deref())?;
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
        other_engine::refuse_prompt(settings.engine)?;
        return repl::run(global, args, stop).await;
    }
    let dialect = args.dialect.unwrap_or(settings.engine.dialect());
    let parsed = prepare(&text_of(args, &catalog, dialect)?, &args.ask, args.tz, (&catalog, dialect), &args.register)?;
    if args.show_sql {
        return print(&format!("{}\n", parsed.to_sql_for(dialect)?));
    }
    let (format, output) = output_of(args.format, args.output.as_deref())?;
    let target = Target::of(output)?;
    if args.live && settings.engine != QueryEngine::Local {
        let problem = format!("--live is for --engine local: {} knows the table only", settings.engine.name());
        return Err(QueryError::Usage(problem).into());
    }
    if let Some(client) = other_engine::client_of(&settings, args).await? {
        let sql = parsed.to_engine(settings.engine.dialect())?;
        return other_engine::answer(&client, &sql, args, format, (&target, &settings.store), stop).await;
    }

    let mut tables = Tables::open(global, args, stop).await?;
    let zone = tables.market_zone().map(str::to_owned);
    let session = tables.session().await?;
    let planned = session.plan(&parsed).await;
    let notes = match &planned {
        Ok(_) if !args.explain => notes(session, zone.as_deref(), &args.ask, &parsed).await,
        // Notes are about a result, and computing them reads files, so they are left out here.
        _ => Ok(Vec::new()),
    };
    tables.close().await;
    let planned = planned?;
    notes?.iter().for_each(|line| write_stderr(&format!("{line}\n")));
    if args.explain {
        return print(&explanation(&planned.explain(), &planned.reads().await?));
    }
    let line = ProgressLine::start(planned.progress());
    let write = async |output| write_all(planned.run()?, format, args.tz, output, stop).await;
    target.fill(&settings.store, &line, fit_of(args), stop, write).await
}

fn text_of(args: &QueryArgs, catalog: &NamedQueries, dialect: Dialect) -> Result<String, QueryError> {
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
        let catalog = NamedQueries::load(None).unwrap();
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
        let unreachable =
            query(&["SELECT 1 AS one", "--engine", "trino", "--trino-url", "http://127.0.0.1:1"]).await.unwrap_err();
        assert_ne!(format!("{:?}", exit_code(&unreachable)), format!("{:?}", ExitCode::from(USAGE)), "{unreachable}");
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
}
