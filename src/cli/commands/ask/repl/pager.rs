//! A pager, which displays a long result screen by screen.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::cli::settings::pager;

pub(super) struct Pager {
    program: String,
    child: Child,
}

impl Pager {
    /// Starts the pager.
    ///
    /// # Errors
    /// The shell that runs it can't be started.
    pub(super) fn start() -> anyhow::Result<Self> {
        let program = pager();
        let child = Command::new("sh").args(["-c", &program]).stdin(Stdio::piped()).spawn();
        Ok(Self { child: child.with_context(|| format!("start the pager {program}"))?, program })
    }

    /// The standard input of the pager, which can be taken once.
    pub(super) fn input(&mut self) -> impl Write + Send + use<> {
        Input(self.child.stdin.take())
    }

    /// Waits until the user quits the pager.
    ///
    /// # Errors
    /// The pager failed, so the user didn't see the result.
    pub(super) async fn wait(mut self) -> anyhow::Result<()> {
        let status = tokio::task::spawn_blocking(move || self.child.wait().map(|status| (status, self.program)));
        let (status, program) = status.await.context("wait for the pager")?.context("wait for the pager")?;
        anyhow::ensure!(status.success(), "the pager {program} ended with {status}: .pager off turns it off");
        Ok(())
    }
}

struct Input(Option<std::process::ChildStdin>);

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(bytes.len()), |input| input.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}
