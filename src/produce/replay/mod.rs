//! Files as a feed: CSV and Parquet become ticks, lines are sent as they are.
//!
//! Files are read in the order of the command line, one at a time, in pieces: memory does not grow with their size.

mod columns;
mod error;
mod files;
mod lines;
mod names;
mod settings;
mod table;
mod time;

use std::collections::VecDeque;

use super::wire::MessageEncoder;
use super::{Feed, FeedError, FeedMessage};
pub use error::ReplayError;
pub use files::FileFormat;
use files::InputFile;
use lines::LineReader;
pub use settings::{ColumnNames, ReplaySettings};
use table::TableReader;
pub use time::EpochUnit;
use time::TimeParser;

#[derive(Debug)]
enum FileReader {
    Lines(LineReader),
    Table(TableReader),
}

/// All files, one after the other.
#[derive(Debug)]
pub struct ReplayFeed {
    settings: ReplaySettings,
    encoder: MessageEncoder,
    inputs: VecDeque<InputFile>,
    /// Called with a report of the columns that are taken from a file.
    report: fn(&str),
    reported: String,
    current: Option<FileReader>,
    payload: Vec<u8>,
}

impl ReplayFeed {
    /// Finds the files; they are opened one by one later.
    ///
    /// # Errors
    /// A file is missing or of no known format, or a pointer is none.
    pub fn open(settings: ReplaySettings, encoder: MessageEncoder) -> Result<Self, ReplayError> {
        for pointer in settings.message_key.iter().chain(&settings.message_time) {
            if !pointer.starts_with('/') {
                return Err(ReplayError::Pointer { pointer: pointer.clone() });
            }
        }
        let inputs = files::find(&settings.files, settings.format)?.into();
        let report = |_: &str| {};
        let (reported, payload) = (String::new(), Vec::new());
        Ok(Self { settings, encoder, inputs, report, reported, current: None, payload })
    }

    /// Calls `report` with the columns of each file that are taken and left.
    #[must_use]
    pub fn reporting(self, report: fn(&str)) -> Self {
        Self { report, ..self }
    }

    /// Whether messages come with event times. Lines need a pointer to theirs.
    pub fn has_times(&self) -> bool {
        self.settings.message_time.is_some() || self.inputs.iter().all(|input| input.format != FileFormat::Lines)
    }

    /// Names of the files without their folders, in the order in which they are read.
    pub fn input_names(&self) -> String {
        let name = |input: &InputFile| match input.path.as_ref().and_then(|path| path.file_name()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => input.name.clone(),
        };
        self.inputs.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn open_next(&self, input: &InputFile) -> Result<FileReader, ReplayError> {
        let settings = &self.settings;
        let times = TimeParser { unit: settings.time_unit, zone: settings.zone, format: settings.ts_format.clone() };
        Ok(match input.format {
            FileFormat::Csv => FileReader::Table(TableReader::csv(input, settings, times)?),
            FileFormat::Parquet => FileReader::Table(TableReader::parquet(input, settings, times)?),
            FileFormat::Lines | FileFormat::StampedLines => {
                let (key, time) = (settings.message_key.clone(), settings.message_time.clone());
                FileReader::Lines(LineReader::open(input, key, time, times)?)
            }
        })
    }

    /// Moves to the next message; false at the end of the last file.
    fn advance(&mut self) -> Result<bool, ReplayError> {
        loop {
            let found = match &mut self.current {
                Some(FileReader::Lines(lines)) => lines.advance()?,
                Some(FileReader::Table(table)) => table.advance()?,
                None => false,
            };
            if found {
                return Ok(true);
            }
            let Some(input) = self.inputs.pop_front() else { return Ok(false) };
            let source = self.open_next(&input)?;
            if let FileReader::Table(table) = &source
                && table.report() != self.reported
            {
                self.reported = table.report().to_owned();
                (self.report)(&self.reported);
            }
            self.current = Some(source);
        }
    }
}

impl Feed for ReplayFeed {
    fn next_message(&mut self) -> Result<Option<FeedMessage<'_>>, FeedError> {
        if !self.advance()? {
            return Ok(None);
        }
        match &self.current {
            Some(FileReader::Lines(lines)) => Ok(Some(lines.message())),
            Some(FileReader::Table(table)) => {
                let tick = table.tick()?;
                self.payload.clear();
                self.encoder.encode(&tick, &mut self.payload)?;
                Ok(Some(FeedMessage { key: Some(tick.symbol.as_bytes()), payload: &self.payload, ts: Some(tick.ts) }))
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
