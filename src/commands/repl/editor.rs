//! Where input comes from: the lines of standard input, asked for by a prompt where somebody sits there.

use std::io;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::commands::print::tell;

const PROMPT: &str = "tickhouse> ";
const CONTINUED: &str = "      ...> ";

/// What came.
pub(super) enum Typed {
    /// Lines that end with a newline.
    Lines(String),
    End,
}

/// The next line of standard input. `is_waiting` tells a prompt that a statement has begun.
///
/// # Errors
/// Standard input can't be read.
pub(super) async fn next(interactive: bool, is_waiting: bool, stop: &CancellationToken) -> anyhow::Result<Typed> {
    if interactive {
        tell(if is_waiting { CONTINUED } else { PROMPT });
    }
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|bytes| if bytes == 0 { Typed::End } else { Typed::Lines(line) })
    });
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(Typed::End),
        read = reading => read?.context("read standard input"),
    }
}
