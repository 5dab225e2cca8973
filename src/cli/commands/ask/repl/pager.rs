//! A program that shows a long result a screen at a time.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::cli::settings::pager;

pub(super) struct Pager {
    program: String,
    child: Child,
}

impl Pager {
    /// # Errors
    /// There is no shell that could start it.
    pub(super) fn start() -> anyhow::Result<Self> {
        let program = pager();
        let child = Command::new("sh").args(["-c", &program]).stdin(Stdio::piped()).spawn();
        Ok(Self { child: child.with_context(|| format!("start the pager {program}"))?, program })
    }

    /// What it reads, once.
    pub(super) fn input(&mut self) -> impl Write + Send + use<> {
        Input(self.child.stdin.take())
    }

    /// Until the user has left it.
    ///
    /// # Errors
    /// It failed, so that the result was not seen.
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
