//! `tickhouse query` without a statement: an interactive prompt on a terminal, or else the statements of standard
//! input.
//!
//! An error ends a script, but only skips the rest of the line at a prompt. Ctrl-C ends the running statement.

mod completion;
mod editor;
mod input;
mod pager;
mod shell;

use std::io::{self, IsTerminal};

use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, QueryArgs};
use crate::cli::commands::exit::is_reader_gone;
use crate::cli::commands::print::write_stderr;
use crate::cli::settings::state_folder;
use crate::query::QueryError;
use editor::{Prompt, Source, Typed};
use input::{Input, split, split_all};
use shell::{Flow, Shell};

/// Whether standard input and output are terminals, so that a user is present.
pub(in crate::cli::commands) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Runs the prompt or the script.
///
/// # Errors
/// The lake can't be opened, or a statement of a script fails.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &QueryArgs,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let of_one = [(args.output.is_some(), "-o"), (args.show_sql, "--show-sql"), (args.explain, "--explain")];
    if let Some((_, flag)) = of_one.iter().find(|(is_given, _)| *is_given) {
        return Err(QueryError::Usage(format!("{flag} takes one statement: name it, or read it with -f -")).into());
    }
    let interactive = is_interactive();
    let mut shell = Shell::open(global, args, interactive, stop).await?;
    let mut source = Source::Pipe;
    if interactive {
        source = Source::Terminal(Box::new(Prompt::new(shell.names().await?, state_folder())?));
        write_stderr(&format!("{}; .help lists what can be typed\n", shell.place()));
    }
    let ended = serve(&mut shell, source, interactive, stop).await;
    shell.close().await;
    ended
}

/// Runs inputs until they end, the user quits, or a script fails.
async fn serve(
    shell: &mut Shell<'_>,
    mut source: Source,
    interactive: bool,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut waiting = String::new();
    loop {
        let (same, typed) = source.next(!waiting.is_empty(), stop).await?;
        source = same;
        let (inputs, is_end) = match typed {
            Typed::Interrupted => {
                waiting.clear();
                continue;
            }
            Typed::End => (split_all(&waiting), true),
            Typed::Lines(lines) => {
                waiting.push_str(&lines);
                let (inputs, rest) = split(&waiting);
                waiting = rest.to_owned();
                (inputs, false)
            }
        };
        let flow = answer(shell, &inputs, interactive).await?;
        if is_end || flow == Flow::Leave || stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Runs some inputs. At a prompt, an error is printed and the remaining inputs of the line are skipped.
async fn answer(shell: &mut Shell<'_>, inputs: &[Input], interactive: bool) -> anyhow::Result<Flow> {
    match shell.run_all(inputs).await {
        Err(error) if interactive && !is_reader_gone(&error) => {
            write_stderr(&format!("error: {error:#}\n"));
            Ok(Flow::GoOn)
        }
        result => result,
    }
}
