//! `tickhouse alerts list|test`: prints the configured rules, or the alerts that they would have emitted.

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::Utc;
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{AlertsArgs, AlertsCommand, AlertsTestArgs, GlobalArgs};
use crate::cli::commands::ask::target::output_of;
use crate::cli::commands::exit::FINDINGS;
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::{Settings, SettingsError};
use crate::lake::Lake;
use crate::live::{Event, EventKind, LiveSettings, RuleSettings, Rules, SignalEngine, WebhookSettings, history};
use crate::query::{OutputFormat, QueryClock, QueryError, ResultOutput, TimeExpression, write_batch};
use crate::util::suggest::did_you_mean;

/// Runs the command.
///
/// # Errors
/// There is no such rule, a condition is invalid, or the table can't be read.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &AlertsArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    match &args.command {
        AlertsCommand::List => list(global).await,
        AlertsCommand::Test(args) => {
            let tested = tokio::select! {
                biased;
                () = stop.cancelled() => Err(QueryError::Cancelled.into()),
                tested = test(global, args) => tested,
            };
            tested
        }
    }
}

async fn list(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let live = Settings::resolve(global.config.as_deref(), |_| {})?.settings.live;
    live.validate().map_err(SettingsError::Value)?;
    Rules::plan(&live.rules).await?;
    let text = |of: &dyn Fn(&RuleSettings) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(live.rules.iter().map(of)))
    };
    let goes_to = |rule: &RuleSettings| {
        let takes = |hook: &&WebhookSettings| hook.takes(EventKind::Rule, &rule.name, rule.severity);
        live.webhooks.iter().filter(takes).map(|hook| hook.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let rows = RecordBatch::try_from_iter([
        ("rule", text(&|rule| rule.name.clone())),
        ("symbols", text(&|rule| rule.symbols.join(", "))),
        ("when", text(&|rule| rule.when.clone())),
        ("until", text(&|rule| rule.until.clone().unwrap_or_default())),
        ("cool_down", text(&|rule| humantime::format_duration(rule.cool_down).to_string())),
        ("severity", text(&|rule| rule.severity.name().to_owned())),
        ("webhooks", text(&goes_to)),
    ])?;
    let format = OutputFormat::auto(None, io::IsTerminal::is_terminal(&io::stdout()))?;
    write_batch(&rows, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

async fn test(global: &GlobalArgs, args: &AlertsTestArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(global.config.as_deref(), |layers| args.table.apply(layers))?.settings;
    let rule = rule_of(&settings.live, args)?;
    let (format, _) = output_of(args.format, None)?;
    let webhooks = Vec::new();
    let live = LiveSettings { kinds: vec![EventKind::Rule], rules: vec![rule], webhooks, ..settings.live.clone() };
    live.validate().map_err(SettingsError::Value)?;
    let rules = Rules::plan(&live.rules).await?;
    let lake = Lake::open(&settings.location()?, &settings.store).await.context("open the lake")?;
    let zone = lake.market_zone().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
    let clock = QueryClock::system(zone);
    let instant = |flag: &str, text: &str| {
        let instant = TimeExpression::parse(text).and_then(|moment| moment.instant(&clock));
        instant
            .map(|instant| instant.timestamp_micros())
            .map_err(|problem| anyhow::Error::from(SettingsError::Value(format!("{flag}: {problem}"))))
    };
    let from = instant("--from", &args.from)?;
    let to = args.to.as_deref().map_or(Ok(Utc::now().timestamp_micros()), |to| instant("--to", to))?;
    if to <= from {
        let to = args.to.as_ref().map_or_else(|| "now".to_owned(), |to| format!("--to {to}"));
        let problem = format!("--from {} is not before {to}", args.from);
        return Err(SettingsError::Value(problem).into());
    }
    let wanted: BTreeSet<&str> = args.symbol.iter().map(String::as_str).collect();
    let mut engine = SignalEngine::new(&live, rules);
    let wants = |symbol: &str| wanted.is_empty() || wanted.contains(symbol);
    let events = history(&mut engine, &lake.ticks()?, (from, to), wants).await?;
    write_batch(&rows(&events)?, format, chrono_tz::UTC, ResultOutput::to(io::stdout()))?;
    let count = events.len() as u64;
    write_stderr(&format!("rule '{}' would have emitted {count} alerts\n", args.rule));
    Ok(match args.expect {
        Some(expected) if expected != count => {
            write_stderr(&format!("expected were {expected}\n"));
            ExitCode::from(FINDINGS)
        }
        _ => ExitCode::SUCCESS,
    })
}

fn rule_of(live: &LiveSettings, args: &AlertsTestArgs) -> anyhow::Result<RuleSettings> {
    let configured = live.rules.iter().find(|rule| rule.name == args.rule).cloned();
    match (configured, &args.when) {
        (Some(rule), None) => Ok(rule),
        (Some(rule), Some(when)) => Ok(RuleSettings { when: when.clone(), ..rule }),
        (None, Some(when)) => Ok(RuleSettings::new(&args.rule, when)),
        (None, None) => {
            let hint = did_you_mean(&args.rule, live.rules.iter().map(|rule| rule.name.as_str()));
            let problem = match live.rules.is_empty() {
                true => {
                    "the configuration has no rules: write [[live.rule]], name it with --config, or try a condition \
                         out with --when"
                        .to_owned()
                }
                false => format!("there is no rule '{}'{hint}; `tickhouse alerts list` shows them", args.rule),
            };
            Err(SettingsError::Value(problem).into())
        }
    }
}

fn rows(events: &[Event]) -> anyhow::Result<RecordBatch> {
    let all = || events.iter();
    let ts = TimestampMicrosecondArray::from_iter_values(all().map(|event| event.ts)).with_timezone("UTC");
    let known = |value: f64| (!value.is_nan()).then_some(value);
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("ts", Arc::new(ts) as ArrayRef, false),
        ("symbol", Arc::new(StringArray::from_iter_values(all().map(|event| &*event.symbol))), false),
        ("rule", Arc::new(StringArray::from_iter_values(all().map(|event| &*event.name))), false),
        ("severity", Arc::new(StringArray::from_iter_values(all().map(|event| event.severity.name()))), false),
        ("close", Arc::new(all().map(|event| Some(event.close)).collect::<Float64Array>()), false),
        ("volume", Arc::new(all().map(|event| known(event.volume)).collect::<Float64Array>()), true),
        ("id", Arc::new(StringArray::from_iter_values(all().map(|event| event.id().to_string()))), false),
    ])?)
}
