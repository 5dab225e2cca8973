//! A progress line on standard error, for long queries and checks on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::check::verify::{self, ProgressSnapshot};
use crate::engines::{EngineProgress, EngineRead};
use crate::query::QueryProgress;

/// Time after which the line appears.
const PATIENCE: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_millis(200);

/// A progress line, which is cleared when it is dropped.
pub(in crate::cli::commands) struct ProgressLine {
    bar: ProgressBar,
    task: Option<JoinHandle<()>>,
}

impl ProgressLine {
    pub(in crate::cli::commands) fn start(progress: QueryProgress) -> Self {
        Self::showing(move || {
            let read = progress.read();
            let (rows, files, all) = (HumanCount(read.rows), HumanCount(read.files), HumanCount(read.all_files));
            match read.all_files {
                0 => "running".to_owned(),
                _ => format!("{rows} rows read, {files} of {all} files"),
            }
        })
    }

    /// The progress of a statement that another engine runs.
    pub(in crate::cli::commands) fn elsewhere(progress: Arc<EngineProgress>) -> Self {
        Self::showing(move || {
            let EngineRead { rows, splits, all_splits, bytes } = progress.read();
            match all_splits {
                0 => format!("{} read", HumanBytes(bytes)),
                all => format!("{} rows read, {} of {} splits", HumanCount(rows), HumanCount(splits), HumanCount(all)),
            }
        })
    }

    /// The progress of `verify`.
    pub(in crate::cli::commands) fn verifying(progress: Arc<verify::VerifyProgress>) -> Self {
        Self::showing(move || {
            let ProgressSnapshot { rows, files, all_files, records, all_records } = progress.read();
            let (rows, files, all_files) = (HumanCount(rows), HumanCount(files), HumanCount(all_files));
            match all_records {
                0 => format!("{rows} rows checked, {files} of {all_files} files"),
                all => format!("{} of {} offsets compared with Kafka", HumanCount(records), HumanCount(all)),
            }
        })
    }

    fn showing(text: impl Fn() -> String + Send + 'static) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), task: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template has known keys"));
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let mut ticks = tokio::time::interval(PERIOD);
            loop {
                ticks.tick().await;
                shown.set_message(format!("{}, {} s", text(), shown.elapsed().as_secs()));
                shown.tick();
            }
        });
        Self { bar, task: Some(task) }
    }

    /// Standard output that clears the progress line before anything is printed on the same terminal.
    pub(in crate::cli::commands) fn before_stdout(&self) -> BeforeStdout {
        BeforeStdout { bar: io::stdout().is_terminal().then(|| self.bar.clone()) }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}

pub(in crate::cli::commands) struct BeforeStdout {
    bar: Option<ProgressBar>,
}

impl Write for BeforeStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
