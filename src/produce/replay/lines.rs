//! Files of one message a line. Lines are never changed, valid or not: a capture of a feed is replayed as it was.

use std::fmt;
use std::io::{BufRead, Read};

use serde_json::Value;

use super::error::ReplayError;
use super::files::{FileFormat, InputFile};
use super::time::TimeParser;
use crate::produce::feed::FeedMessage;

/// Far above what a broker takes; bounds the memory of a file without line ends.
const MAX_LINE_BYTES: u64 = 64 << 20;

pub(super) struct LineReader {
    name: String,
    reader: Box<dyn BufRead + Send>,
    stamped: bool,
    key_pointer: Option<String>,
    time_pointer: Option<String>,
    times: TimeParser,
    number: u64,
    line: Vec<u8>,
    /// Where the message begins in the line.
    start: usize,
    key: Option<String>,
    ts: Option<i64>,
}

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader").field("name", &self.name).field("number", &self.number).finish_non_exhaustive()
    }
}

impl LineReader {
    pub(super) fn open(
        input: &InputFile,
        key_pointer: Option<String>,
        time_pointer: Option<String>,
        times: TimeParser,
    ) -> Result<Self, ReplayError> {
        Ok(Self {
            name: input.name.clone(),
            reader: input.text()?,
            stamped: input.format == FileFormat::StampedLines,
            key_pointer,
            time_pointer,
            times,
            number: 0,
            line: Vec::new(),
            start: 0,
            key: None,
            ts: None,
        })
    }

    fn wrong(&self, problem: impl Into<String>) -> ReplayError {
        ReplayError::Row { file: self.name.clone(), row: self.number, problem: problem.into() }
    }

    /// Moves to the next line that is not empty; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, ReplayError> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES + 1);
            let read = limited
                .read_until(b'\n', &mut self.line)
                .map_err(|source| ReplayError::Io { file: self.name.clone(), source })?;
            if read == 0 {
                return Ok(false);
            }
            if read as u64 > MAX_LINE_BYTES {
                return Err(self.wrong("longer than 64 MiB; is this a file of lines?"));
            }
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !self.line.is_empty() {
                break;
            }
        }
        (self.start, self.key, self.ts) = (0, None, None);
        if self.stamped {
            self.take_stamp()?;
        }
        if self.key_pointer.is_some() || self.time_pointer.is_some() {
            self.read_pointers()?;
        }
        Ok(true)
    }

    /// The time of receipt in front of the message.
    fn take_stamp(&mut self) -> Result<(), ReplayError> {
        let blank = self.line.iter().position(|byte| *byte == b' ');
        let stamp = blank.and_then(|blank| std::str::from_utf8(&self.line[..blank]).ok()?.parse::<i64>().ok());
        let (Some(blank), Some(nanos)) = (blank, stamp) else {
            return Err(self.wrong("does not begin with a time in nanoseconds and a blank; use --file-format lines"));
        };
        self.start = blank + 1;
        self.ts = Some(nanos.div_euclid(1_000));
        Ok(())
    }

    /// A line without these fields has no key, and the time of the line before.
    fn read_pointers(&mut self) -> Result<(), ReplayError> {
        let Ok(document) = serde_json::from_slice::<Value>(&self.line[self.start..]) else { return Ok(()) };
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| document.pointer(pointer));
        self.key = match at(&self.key_pointer) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let time = match at(&self.time_pointer) {
            Some(Value::String(text)) => self.times.text(text),
            Some(Value::Number(number)) => self.times.decimal(&number.to_string()),
            _ => return Ok(()),
        };
        self.ts = Some(time.map_err(|problem| self.wrong(problem))?);
        Ok(())
    }

    pub(super) fn message(&self) -> FeedMessage<'_> {
        FeedMessage { key: self.key.as_deref().map(str::as_bytes), payload: &self.line[self.start..], ts: self.ts }
    }
}
