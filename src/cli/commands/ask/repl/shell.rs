//! The state between two inputs, and the execution of inputs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use chrono_tz::Tz;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::completion::Names;
use super::input::{DOTS, Dot, Input, split_all, words};
use super::pager::Pager;
use crate::cli::args::{AskArgs, FormatChoice, GlobalArgs, QueryArgs};
use crate::cli::commands::ask::listing::listing;
use crate::cli::commands::ask::progress::ProgressLine;
use crate::cli::commands::ask::statement::{notes, prepare};
use crate::cli::commands::ask::tables::Tables;
use crate::cli::commands::ask::target::{Target, output_of, terminal_fit};
use crate::cli::commands::print::{print, write_stderr};
use crate::cli::settings::Settings;
use crate::lake::StoreSettings;
use crate::query::{
    Dialect, NamedQueries, ParsedStatement, QueryError, QueryParam, ResultOutput, TableInfo, write_all,
};
use crate::util::text_width::{padded, text_width};

const WAY_TO_ALL: &str = ".limit, .mode, .pager and .output show more";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Leave,
}

/// What follows the name of a query.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, override_usage = "NAME [--param NAME=VALUE] [--symbol ..]")]
struct NamedLine {
    name: String,
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) struct Shell<'a> {
    tables: Tables,
    catalog: NamedQueries,
    /// Flags that apply to every statement.
    ask: &'a AskArgs,
    choice: FormatChoice,
    zone: Tz,
    timer: bool,
    /// Maximum number of rows of a table on a terminal.
    limit: Option<usize>,
    pager: bool,
    /// File for the next result, instead of the terminal.
    output: Option<PathBuf>,
    store: StoreSettings,
    /// Whether a file with statements is running.
    reading: bool,
    interactive: bool,
    stop: &'a CancellationToken,
}

impl<'a> Shell<'a> {
    pub(super) async fn open(
        global: &GlobalArgs,
        args: &'a QueryArgs,
        interactive: bool,
        stop: &'a CancellationToken,
    ) -> anyhow::Result<Self> {
        let catalog = NamedQueries::load(args.sql_dir.as_deref())?;
        refuse_binary(args.format)?;
        Ok(Self {
            tables: Tables::open(global, args, stop).await?,
            catalog,
            ask: &args.ask,
            choice: args.format,
            zone: args.tz,
            timer: interactive,
            limit: (args.max_rows > 0).then_some(args.max_rows),
            pager: false,
            output: None,
            store: Settings::resolve(global.config.as_deref(), |layers| args.apply(layers))?.settings.store,
            reading: false,
            interactive,
            stop,
        })
    }

    /// The location of the lake and its version.
    pub(super) fn place(&self) -> String {
        self.tables.place()
    }

    pub(super) async fn close(self) {
        self.tables.close().await;
    }

    pub(super) async fn names(&mut self) -> anyhow::Result<Names> {
        let session = self.tables.session().await?;
        let columns = |table: &TableInfo| table.schema.fields().iter().map(|field| field.name().clone()).collect();
        let params = |params: &[QueryParam]| params.iter().map(|param| param.name.clone()).collect();
        Ok(Names {
            tables: session.tables().iter().map(|table| (table.name.clone(), columns(table))).collect(),
            functions: session.functions(),
            queries: self.catalog.iter().map(|(name, query)| (name.to_owned(), params(&query.header.params))).collect(),
        })
    }

    /// Runs the inputs, up to the first error.
    pub(super) async fn run_all(&mut self, inputs: &[Input]) -> anyhow::Result<Flow> {
        for input in inputs {
            match input {
                Input::Dot(line) => {
                    let dot = Dot::parse(line).map_err(QueryError::Usage)?;
                    if Box::pin(self.dot(dot)).await? == Flow::Leave {
                        return Ok(Flow::Leave);
                    }
                }
                Input::Named(line) => {
                    let (parsed, ask) = self.named(line)?;
                    self.statement(&parsed, &ask).await?;
                }
                Input::Sql(text) => {
                    self.refuse_values(text)?;
                    let names = (&self.catalog, Dialect::Tickhouse);
                    let parsed = prepare(text, self.ask, self.zone, names, self.tables.registered())?;
                    self.statement(&parsed, self.ask).await?;
                }
            }
        }
        Ok(Flow::GoOn)
    }

    /// Refuses a named query that is followed by values instead of flags, such as `symbols AAPL`.
    fn refuse_values(&self, text: &str) -> Result<(), QueryError> {
        let name = text.split_whitespace().next().unwrap_or_default();
        match self.catalog.iter().any(|(known, _)| known == name) {
            true => Err(QueryError::Usage(format!(
                "{name} is a named query, which takes flags on its line, as in {name} --symbol AAPL"
            ))),
            false => Ok(()),
        }
    }

    fn named(&self, line: &str) -> Result<(ParsedStatement, AskArgs), QueryError> {
        let words = words(line).map_err(QueryError::Usage)?;
        let NamedLine { name, ask } = NamedLine::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or(&text);
            QueryError::Usage(first.trim_start_matches("error: ").to_owned())
        })?;
        let text = self.catalog.get(&name)?.text_for(Dialect::Tickhouse);
        let names = (&self.catalog, Dialect::Tickhouse);
        let ask = ask.or(self.ask);
        let parsed = prepare(text, &ask, self.zone, names, self.tables.registered())?;
        Ok((parsed, ask))
    }

    /// Runs a statement until it has finished or Ctrl-C ends it.
    async fn statement(&mut self, parsed: &ParsedStatement, ask: &AskArgs) -> anyhow::Result<()> {
        let begin = Instant::now();
        // The signal is only watched from here on, so that earlier presses of Ctrl-C at the prompt don't count.
        let interrupt = self.interactive.then(|| signal(SignalKind::interrupt()));
        let mut interrupt = interrupt.transpose().context("watch Ctrl-C")?;
        let interrupted = async {
            match &mut interrupt {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = interrupted => Err(QueryError::Cancelled.into()),
            () = self.stop.cancelled() => Err(QueryError::Cancelled.into()),
            written = self.write(parsed, ask) => written,
        }?;
        if self.timer {
            write_stderr(&format!("{:.3} s\n", begin.elapsed().as_secs_f64()));
        }
        Ok(())
    }

    async fn write(&mut self, parsed: &ParsedStatement, ask: &AskArgs) -> anyhow::Result<()> {
        let file = self.output.take();
        let (format, file) = output_of(self.choice, file.as_deref())?;
        let target = Target::of(file)?;
        let zone = self.tables.market_zone().map(str::to_owned);
        let session = self.tables.session().await?;
        let planned = session.plan(parsed).await?;
        let notes = notes(session, zone.as_deref(), ask, parsed).await?;
        notes.iter().for_each(|line| write_stderr(&format!("{line}\n")));
        let line = ProgressLine::start(planned.progress());
        let write = async |output| write_all(planned.run()?, format, self.zone, output, self.stop).await;
        if self.pager && self.interactive && file.is_none() {
            let mut pager = Pager::start()?;
            let written = write(ResultOutput::to(pager.input())).await;
            drop(line);
            pager.wait().await?;
            // A broken pipe means that the user quit the pager early.
            return match written {
                Ok(_) | Err(QueryError::BrokenPipe) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        target.fill(&self.store, &line, terminal_fit(self.limit, WAY_TO_ALL), self.stop, write).await
    }

    async fn dot(&mut self, dot: Dot) -> anyhow::Result<Flow> {
        match dot {
            Dot::Help => print(&help())?,
            Dot::List => print(&listing(&self.catalog))?,
            Dot::Tables => {
                let session = self.tables.session().await?;
                print(&session.tables().iter().map(table_line).collect::<String>())?;
            }
            Dot::Schema(name) => {
                let query = name.as_ref().and_then(|name| self.catalog.iter().find(|(query, _)| query == name));
                let query = query.map(|(query, _)| query.to_owned());
                let session = self.tables.session().await?;
                let text = match (name, query) {
                    (Some(name), Some(query)) if session.table(&name).is_err() => {
                        columns(&self.described(&query).await?)
                    }
                    (Some(name), _) => columns(session.table(&name)?),
                    (None, _) => session.tables().iter().map(columns).collect(),
                };
                print(&text)?;
            }
            Dot::Mode(Some(choice)) => {
                refuse_binary(choice)?;
                self.choice = choice;
            }
            Dot::Mode(None) => print(&format!("{}\n", self.choice))?,
            Dot::Timer(timer) => self.timer = timer,
            Dot::Limit(rows) => self.limit = rows,
            Dot::Pager(pager) => self.pager = pager,
            Dot::Output(file) => self.output = file,
            Dot::Register(name, file) => self.tables.register(&name, &file).await?,
            Dot::Read(file) => return self.read(&file).await,
            Dot::Quit => return Ok(Flow::Leave),
        }
        Ok(Flow::GoOn)
    }

    /// The columns of a named query, as if it were a table.
    async fn described(&mut self, query: &str) -> anyhow::Result<TableInfo> {
        let names = (&self.catalog, Dialect::Tickhouse);
        let parsed = prepare(&format!("SELECT * FROM {query}"), self.ask, self.zone, names, self.tables.registered())?;
        let schema = self.tables.session().await?.plan(&parsed).await?.schema();
        Ok(TableInfo { name: query.to_owned(), schema, rows: None, files: 0, times: None })
    }

    async fn read(&mut self, file: &Path) -> anyhow::Result<Flow> {
        if self.reading {
            return Err(QueryError::Usage(format!(".read {}: a file can't read others", file.display())).into());
        }
        let text = std::fs::read_to_string(file)
            .map_err(|error| QueryError::Usage(format!("read {}: {error}", file.display())))?;
        self.reading = true;
        let flow = self.run_all(&split_all(&(text + "\n"))).await;
        self.reading = false;
        flow
    }
}

fn refuse_binary(choice: FormatChoice) -> Result<(), QueryError> {
    match choice.is_binary() {
        true => Err(QueryError::Usage(format!("{choice} holds one result: write it with -f FILE or -f - and -o FILE"))),
        false => Ok(()),
    }
}

fn help() -> String {
    let mut text = "SQL ends with a semicolon. The name of a query and its flags run it.\n".to_owned();
    for (name, usage, what) in DOTS {
        let command = format!("{name} {usage}");
        writeln!(text, "{command:19} {what}").expect("a string takes all text");
    }
    text
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn table_line(table: &TableInfo) -> String {
    match table.rows {
        Some(rows) => {
            format!("{}  {} in {}\n", table.name, counted(rows, "row"), counted(table.files as u64, "file"))
        }
        None => format!("{}\n", table.name),
    }
}

fn columns(table: &TableInfo) -> String {
    let fields = table.schema.fields();
    let width = fields.iter().map(|field| text_width(field.name())).max().unwrap_or(0);
    let mut text = format!("{}\n", table.name);
    for field in fields {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        let kind = crate::query::sql_type(field.data_type());
        let name = padded(field.name(), width);
        writeln!(text, "  {name}  {kind}{not_null}").expect("a string takes all text");
    }
    text
}
