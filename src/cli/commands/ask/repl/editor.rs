//! The source of the input: a line editor on a terminal, or standard input.

use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context as _;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio_util::sync::CancellationToken;

use super::completion::{Names, complete};
use super::input::split;
use crate::cli::commands::print::write_stderr;

const PROMPT: &str = "tickhouse> ";
/// Prompt for further lines of an incomplete statement.
const CONTINUED: &str = "      ...> ";
const HISTORY: &str = "query_history";
const HISTORY_ENTRIES: usize = 1_000;

/// The result of reading a line.
pub(super) enum Typed {
    /// Lines, each of which ends with a newline.
    Lines(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
}

pub(super) enum Source {
    Terminal(Box<Prompt>),
    Pipe,
}

impl Source {
    /// Reads the next line. `is_continued` means that a statement is still incomplete.
    ///
    /// # Errors
    /// Standard input can't be read.
    pub(super) async fn next(self, is_continued: bool, stop: &CancellationToken) -> anyhow::Result<(Self, Typed)> {
        let settings = match &self {
            Self::Terminal(prompt) => prompt.settings.clone(),
            Self::Pipe => None,
        };
        let reading = tokio::task::spawn_blocking(move || match self {
            Self::Terminal(mut prompt) => prompt.read(is_continued).map(|typed| (Self::Terminal(prompt), typed)),
            Self::Pipe => read_pipe().map(|typed| (Self::Pipe, typed)),
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                // The editor is still waiting for a key and has changed the terminal settings, so they are restored
                // here.
                settings.as_ref().map_or(Ok(()), give_back)?;
                Ok((Self::Pipe, Typed::End))
            }
            read = reading => read.context("read standard input")?,
        }
    }
}

fn read_pipe() -> anyhow::Result<Typed> {
    let mut line = String::new();
    let bytes = io::stdin().read_line(&mut line).context("read standard input")?;
    Ok(if bytes == 0 { Typed::End } else { Typed::Lines(line) })
}

fn give_back(settings: &Termios) -> anyhow::Result<()> {
    tcsetattr(io::stdin(), SetArg::TCSANOW, settings).context("set the terminal back")?;
    // Turns bracketed paste off.
    write_stderr("\x1b[?2004l\n");
    Ok(())
}

pub(super) struct Prompt {
    editor: Editor<Words, FileHistory>,
    history: Option<PathBuf>,
    /// The lines of an input that is still incomplete.
    begun: String,
    /// Settings of the terminal before the editor changed them.
    settings: Option<Termios>,
}

impl Prompt {
    /// Creates the editor. The history is only saved if there is a folder for it, and never contains lines that begin
    /// with a space.
    ///
    /// # Errors
    /// The terminal can't be used.
    pub(super) fn new(names: Names, folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY_ENTRIES)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).context("use the terminal")?;
        editor.set_helper(Some(Words { names }));
        let history = folder.map(|folder| folder.join(HISTORY));
        if let Some(file) = history.as_ref().filter(|file| file.exists())
            && let Err(error) = editor.load_history(file)
        {
            write_stderr(&format!("the history {} can't be read: {error}\n", file.display()));
        }
        let settings = tcgetattr(io::stdin()).ok();
        if let Some(mut quiet) = settings.clone() {
            // The terminal's echo of ^C would otherwise appear behind the progress line.
            quiet.local_flags.remove(LocalFlags::ECHOCTL);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet).context("use the terminal")?;
        }
        Ok(Self { editor, history, begun: String::new(), settings })
    }

    fn read(&mut self, is_continued: bool) -> anyhow::Result<Typed> {
        if !is_continued {
            self.begun.clear();
        }
        match self.editor.readline(if is_continued { CONTINUED } else { PROMPT }) {
            Ok(text) => {
                let line = text + "\n";
                self.begun.push_str(&line);
                // An input is one entry of the history, even if it has several lines.
                if split(&self.begun).1.is_empty() {
                    let input = std::mem::take(&mut self.begun);
                    self.remember(&input);
                }
                Ok(Typed::Lines(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error).context("read the terminal"),
        }
    }

    /// Appends the input to the history file at once, so that a killed process loses nothing. If that fails, a message
    /// is printed and the history is no longer saved.
    fn remember(&mut self, text: &str) {
        let Ok(true) = self.editor.add_history_entry(text.trim_end()) else { return };
        let Some(file) = &self.history else { return };
        let made = file.parent().map_or(Ok(()), fs::create_dir_all).map_err(ReadlineError::Io);
        if let Err(error) = made.and_then(|()| self.editor.append_history(file)) {
            write_stderr(&format!("the history {} can't be written: {error}\n", file.display()));
            self.history = None;
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings
            && let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, settings)
        {
            tracing::debug!(%error, "the terminal can't be set back");
        }
    }
}

/// The completer of the editor.
struct Words {
    names: Names,
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..pos], &self.names))
    }
}

impl Validator for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}
