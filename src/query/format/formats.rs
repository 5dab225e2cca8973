//! The formats by name, by the ending of a file and as HTTP names them.

use std::path::Path;

use crate::query::error::QueryError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    Table,
    Csv,
    /// CSV for spreadsheets such as Excel: a quote stands before text that they would run as a formula (= + - @).
    CsvSpreadsheet,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    Parquet,
    /// Arrow IPC stream.
    Arrow,
    Markdown,
    /// Nothing: the query runs for its time alone.
    Null,
}

/// The format for each ending of a file name.
const ENDINGS: [(&str, OutputFormat); 9] = [
    ("csv", OutputFormat::Csv),
    ("json", OutputFormat::Json),
    ("ndjson", OutputFormat::Ndjson),
    ("jsonl", OutputFormat::Ndjson),
    ("parquet", OutputFormat::Parquet),
    ("arrow", OutputFormat::Arrow),
    ("arrows", OutputFormat::Arrow),
    ("md", OutputFormat::Markdown),
    ("txt", OutputFormat::Table),
];

impl OutputFormat {
    /// What `auto` means: by the name of the file, else a table for people and CSV for programs.
    ///
    /// # Errors
    /// The ending of the name is not that of a known format.
    pub fn auto(file: Option<&Path>, terminal: bool) -> Result<Self, QueryError> {
        let Some(file) = file else { return Ok(if terminal { Self::Table } else { Self::Csv }) };
        let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        let known = ENDINGS.iter().find(|(known, _)| *known == ending);
        known.map(|(_, format)| *format).ok_or_else(|| {
            let endings: Vec<String> = ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
            QueryError::usage(format!(
                "-o {}: the ending is not that of a known format; use one of {}, or say it with --format",
                file.display(),
                endings.join(", ")
            ))
        })
    }

    /// As HTTP names it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvSpreadsheet => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Table | Self::Markdown | Self::Null => "text/plain; charset=utf-8",
        }
    }

    /// Bytes that would garble a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }

    pub(in crate::query) fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::CsvSpreadsheet)
    }

    /// Programs need a name of its own for each column.
    pub(in crate::query) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}
