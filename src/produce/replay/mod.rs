//! Files as a feed: CSV and Parquet become ticks, lines are sent as they are.
//!
//! Files are read in the order of the command line, one at a time, in pieces: memory does not grow with their size.

mod columns;
mod files;
mod lines;
mod names;
mod table;
mod time;

use std::collections::VecDeque;

use chrono_tz::Tz;

use super::wire::MessageEncoder;
use super::{Feed, FeedError, FeedMessage};
use crate::decode::{InputSettings, TimeFormat};
pub use files::FileFormat;
use files::InputFile;
use lines::LineReader;
use table::TableReader;
pub use time::EpochUnit;
use time::TimeParser;

#[derive(Debug, Clone, Default)]
pub struct ReplaySettings {
    /// Paths, patterns with `*` and `?` in the last part, or `-` for standard input.
    pub files: Vec<String>,
    /// The format of all files; without it, the ending of each name decides.
    pub format: Option<FileFormat>,
    pub columns: ColumnNames,
    /// Of numeric times.
    pub time_unit: Option<EpochUnit>,
    /// Of dates, and of times without an offset.
    pub zone: Option<Tz>,
    /// Of times in text that are written in another way.
    pub ts_format: Option<TimeFormat>,
    /// How the messages will be read: columns may have the names of its keys.
    pub input: Option<InputSettings>,
    /// JSON pointer to the Kafka key in a line.
    pub message_key: Option<String>,
    /// JSON pointer to the event time in a line, for pace and Kafka timestamps.
    pub message_time: Option<String>,
}

/// Columns of CSV and Parquet files. A name that the user did not give may be absent, except for symbol, ts and close.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames {
    pub symbol: Option<String>,
    pub ts: Option<String>,
    pub open: Option<String>,
    pub high: Option<String>,
    pub low: Option<String>,
    pub close: Option<String>,
    pub volume: Option<String>,
    pub trade_id: Option<String>,
    pub source: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("find files '{pattern}': there are none; correct the name")]
    NoFiles { pattern: String },
    #[error("read {file}: it is a folder; name its files, as in '{file}/*.csv'")]
    Folder { file: String },
    #[error(
        "read {file}: the format is not known from its name; set --file-format csv, lines, stamped-lines or parquet"
    )]
    NoFormat { file: String },
    #[error(
        "read {file}: it is compressed in a way that is not read here; decompress it first, as in: zstdcat FILE | tickhouse produce replay -"
    )]
    Compressed { file: String },
    #[error("read standard input: a Parquet file can't be read in order; save it and give its name")]
    ParquetFromStdin,
    #[error("use pointer '{pointer}': a JSON pointer begins with /, as in /data/s")]
    Pointer { pointer: String },
    #[error("read {file}: {source}")]
    Io { file: String, source: std::io::Error },
    #[error("read {file}: there is no column {names}; it has {columns}{meant}; set {flags}")]
    NoColumn { file: String, names: String, columns: String, meant: String, flags: String },
    #[error("read {file}: {problem}")]
    Content { file: String, problem: String },
    #[error("read {file}, row {row}: {problem}")]
    Row { file: String, row: u64, problem: String },
}

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
