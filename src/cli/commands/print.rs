//! Standard output and standard error of commands: a reader that closes its end, as `| head` does, is not an error.

use std::io::{self, Write};

use anyhow::Context;

/// The reader of our output has what it wanted.
#[derive(Debug, thiserror::Error)]
#[error("the reader closed the output")]
pub(in crate::cli::commands) struct ReaderGone;

/// Writes the answer of a command; without a reader nothing is left to do.
///
/// # Errors
/// [`ReaderGone`], which ends the command with success, or standard output can't be written.
pub(in crate::cli::commands) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("write to standard output"),
    }
}

/// Writes what a command says about its work, which goes on without a reader.
///
/// # Errors
/// Standard output can't be written.
pub(in crate::cli::commands) fn report(text: &str) -> anyhow::Result<()> {
    match print(text) {
        Err(error) if error.is::<ReaderGone>() => Ok(()),
        written => written,
    }
}

/// Writes to standard error, for people. A failure is ignored, since there is nowhere left to report it.
pub fn write_stderr(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
