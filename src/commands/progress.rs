//! A line on standard error while a query takes long, where somebody reads it.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::query::Progress;

/// Quicker answers need no line.
const PATIENCE: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_millis(200);

/// Cleared when it is dropped.
pub(super) struct ProgressLine {
    bar: ProgressBar,
    task: Option<JoinHandle<()>>,
}

impl ProgressLine {
    pub(super) fn start(progress: Progress) -> Self {
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
                let read = progress.read();
                let (rows, files, all) = (HumanCount(read.rows), HumanCount(read.files), HumanCount(read.all_files));
                let seconds = shown.elapsed().as_secs();
                shown.set_message(match read.all_files {
                    0 => format!("{seconds} s"),
                    _ => format!("{rows} rows read, {files} of {all} files, {seconds} s"),
                });
                shown.tick();
            }
        });
        Self { bar, task: Some(task) }
    }

    /// Standard output that ends the line before anything is printed on the same terminal.
    pub(super) fn before_stdout(&self) -> BeforeStdout {
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

pub(super) struct BeforeStdout {
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
