//! Standard output and standard error of commands. A reader that closes its end of the pipe, such as `head`, is not an
//! error.

use std::io::{self, Write};

use anyhow::Context;

/// The reader of standard output has closed its end.
#[derive(Debug, thiserror::Error)]
#[error("the reader closed the output")]
pub(in crate::cli::commands) struct ReaderGone;

/// Writes the result of a command. If the reader has gone, there is nothing left to do.
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

/// Writes a report on the work of a command. The work continues even if the reader has gone.
///
/// # Errors
/// Standard output can't be written.
pub(in crate::cli::commands) fn report(text: &str) -> anyhow::Result<()> {
    match print(text) {
        Err(error) if error.is::<ReaderGone>() => Ok(()),
        written => written,
    }
}

/// Writes a message for people to standard error. A failure is ignored, because there is no other place to report it.
pub fn write_stderr(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
