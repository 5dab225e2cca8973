//! The display of the demo: redrawn in place on a terminal, otherwise a line from time to time.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cli::commands::print::write_stderr;
use crate::ingest::IngestStatus;
use crate::live::Event;
use crate::produce::SendProgress;

/// Interval of the lines if standard error is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Screen {
    terminal: bool,
    started: Instant,
    lines: usize,
    last: (Instant, i64),
    rate: f64,
    /// Time of the last line, if standard error is not a terminal.
    printed: Option<Instant>,
    printed_rows: bool,
    printed_events: bool,
}

impl Screen {
    pub(super) fn new(terminal: bool) -> Self {
        let now = Instant::now();
        let (printed, printed_rows, printed_events) = (None, false, false);
        Self { terminal, started: now, lines: 0, last: (now, 0), rate: 0.0, printed, printed_rows, printed_events }
    }

    pub(super) fn greet(&self, folder: &Path, rate: f64, symbols: u32) {
        let mut text = format!(
            "A simulated market of {symbols} symbols, {rate} ticks a second, through an embedded Kafka broker\n\
             into the Delta tables under {}\nIn another terminal:\n",
            folder.display()
        );
        for hint in hints(folder) {
            writeln!(text, "  {hint}").expect("a string takes all text");
        }
        write_stderr(&format!("{text}Ctrl-C stops. Simulated prices, no investment advice.\n\n"));
    }

    pub(super) fn draw(&mut self, progress: &SendProgress, status: &IngestStatus, events: &VecDeque<Arc<Event>>) {
        let rows = status.committed.rows;
        let produced = progress.acknowledged.load(Ordering::Relaxed);
        let (at, before) = self.last;
        if at.elapsed() >= Duration::from_secs(2) || before == 0 {
            self.rate = (rows - before) as f64 / at.elapsed().as_secs_f64();
            self.last = (Instant::now(), rows);
        }
        let summary = format!(
            "{:>6.1} s  produced {produced}  committed {rows} rows ({:.0}/s)  lag {}  table version {}  dead letters \
             {}",
            self.started.elapsed().as_secs_f64(),
            self.rate,
            status.lag,
            status.version,
            status.committed.dead
        );
        if self.terminal {
            self.redraw(&summary, events);
        } else {
            self.print_line(&summary, rows > 0, events);
        }
    }

    fn redraw(&mut self, summary: &str, events: &VecDeque<Arc<Event>>) {
        let mut text = String::new();
        if self.lines > 0 {
            write!(text, "\x1b[{}A\x1b[J", self.lines).expect("a string takes all text");
        }
        text.push_str(summary);
        text.push('\n');
        self.lines = 1;
        if !events.is_empty() {
            text.push_str("newest crossings, anomalies and alerts:\n");
            self.lines += 1 + events.len();
        }
        for event in events {
            writeln!(text, "  {}", event.line()).expect("a string takes all text");
        }
        write_stderr(&text);
    }

    fn print_line(&mut self, summary: &str, has_rows: bool, events: &VecDeque<Arc<Event>>) {
        let first = (has_rows && !self.printed_rows) || (!events.is_empty() && !self.printed_events);
        if !first && self.printed.is_some_and(|at| at.elapsed() < LINE_EVERY) {
            return;
        }
        self.printed = Some(Instant::now());
        self.printed_rows |= has_rows;
        self.printed_events |= !events.is_empty();
        let events = events.iter().rev().take(3).map(|event| format!("  {}\n", event.line()));
        write_stderr(&format!("{summary}\n{}", events.collect::<String>()));
    }

    pub(super) fn farewell(&self, folder: &Path, status: &IngestStatus) {
        let counts = &status.committed;
        let next: Vec<String> = status.next.iter().map(|(partition, next)| format!("{partition}={next}")).collect();
        write_stderr(&format!(
            "\ncommitted {} rows in {} commits, {} dead letters; table version {}\nnext offsets {}\n\
             The table stays under {}; ask it with\n  {}\n",
            counts.rows,
            status.commits,
            counts.dead,
            status.version,
            next.join(","),
            folder.display(),
            hints(folder)[0]
        ));
    }
}

/// Commands to try in another terminal.
fn hints(folder: &Path) -> [String; 3] {
    let table = folder.display();
    [
        format!("tickhouse query --table {table} sma_crossover --symbol AAPL"),
        format!("tickhouse query --table {table} daily_summary"),
        format!("tickhouse query --table {table} 'SELECT symbol, count(*), avg(close) FROM ticks GROUP BY symbol'"),
    ]
}
