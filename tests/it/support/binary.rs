//! The program itself, as its users run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::PATIENCE;

/// A lake that a test makes is one.
const NEW_LAKE: &str = "there was no lake, so a new one was made";

/// A command line with an environment that holds nothing of this machine.
pub struct Tickhouse {
    command: Command,
    expected: Vec<&'static str>,
    secrets: Vec<String>,
    input: Vec<u8>,
}

#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Does not outlive a test that fails.
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        // One that has ended and was waited for takes no signal.
        if self.0.kill().is_ok() {
            self.0.wait().unwrap();
        }
    }
}

/// A run that has not ended yet.
pub struct Live {
    child: Mortal,
    lines: Receiver<String>,
    stderr: String,
    stdout: JoinHandle<Vec<u8>>,
    expected: Vec<&'static str>,
    secrets: Vec<String>,
    by: Instant,
}

const BINARY: &str = env!("CARGO_BIN_EXE_tickhouse");

impl Tickhouse {
    pub fn new<S: AsRef<str>>(arguments: &[S]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments.iter().map(AsRef::as_ref));
        Self::of(command)
    }

    /// What somebody types into a shell.
    pub fn typed(line: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", r#"tickhouse() { "$BINARY" "$@"; }; eval "$LINE""#]);
        Self::of(command).env("BINARY", BINARY).env("LINE", line)
    }

    fn of(mut command: Command) -> Self {
        command.env_clear();
        let kept = ["PATH", "HOME", "TMPDIR", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        command.envs(std::env::vars().filter(|(name, _)| kept.contains(&name.as_str())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, expected: vec![NEW_LAKE], secrets: Vec::new(), input: Vec::new() }
    }

    pub fn flags(mut self, flags: &[String]) -> Self {
        self.command.args(flags);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// A WARN or ERROR line with this text is all right.
    pub fn expect_warning(mut self, text: &'static str) -> Self {
        self.expected.push(text);
        self
    }

    /// Must not show anywhere.
    pub fn secret(mut self, text: &str) -> Self {
        self.secrets.push(text.to_owned());
        self
    }

    pub(super) fn into_command(self) -> Command {
        self.command
    }

    pub fn start(mut self) -> Live {
        let mut child = self.command.spawn().unwrap();
        let (mut stdin, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // A program that doesn't read its input closes the pipe.
        let written = stdin.write_all(&self.input);
        assert!(written.is_ok() || self.input.is_empty());
        drop(stdin);
        let stdout = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let (sender, lines) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines() {
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let (expected, secrets) = (self.expected, self.secrets);
        let child = Mortal(child);
        Live { child, lines, stderr: String::new(), stdout, expected, secrets, by: Instant::now() + PATIENCE }
    }

    /// Runs to the end while nobody reads what it writes; the exit code.
    pub fn unread(mut self) -> Option<i32> {
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        self.command.stdin(Stdio::null()).stdout(closed()).stderr(closed()).status().unwrap().code()
    }

    /// Runs to the end.
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Runs to the end, which must be a good one; standard output.
    pub fn succeed(self) -> String {
        let finished = self.run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout
    }
}

impl Live {
    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(self.by.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.stderr.push_str(&line);
                self.stderr.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.child.0.kill().unwrap();
                panic!("not done within {PATIENCE:?}: {}", self.stderr);
            }
        }
    }

    /// Waits for a line on standard error that holds the text.
    pub fn line(&mut self, text: &str) -> String {
        while let Some(line) = self.next_line() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it ended without '{text}': {}", self.stderr);
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub fn finish(mut self) -> Finished {
        while self.next_line().is_some() {}
        let code = self.child.0.wait().unwrap().code();
        let stdout = String::from_utf8_lossy(&self.stdout.join().unwrap()).into_owned();
        let stderr = self.stderr;
        for line in stderr.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")) {
            assert!(self.expected.iter().any(|text| line.contains(text)), "unexpected: {line}");
        }
        for secret in self.secrets {
            let shown: Vec<&str> =
                stdout.lines().chain(stderr.lines()).filter(|line| line.contains(secret.as_str())).collect();
            assert!(shown.is_empty(), "a secret shows: {shown:#?}");
        }
        Finished { code, stdout, stderr }
    }
}
