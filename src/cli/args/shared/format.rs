//! The output format of a result.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::query::OutputFormat;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatChoice {
    Auto,
    Is(OutputFormat),
}

impl ValueEnum for FormatChoice {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self::Auto,
                Self::Is(OutputFormat::Table),
                Self::Is(OutputFormat::Csv),
                Self::Is(OutputFormat::CsvSpreadsheet),
                Self::Is(OutputFormat::Json),
                Self::Is(OutputFormat::Ndjson),
                Self::Is(OutputFormat::Parquet),
                Self::Is(OutputFormat::Arrow),
                Self::Is(OutputFormat::Markdown),
                Self::Is(OutputFormat::Null),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Auto => Some(PossibleValue::new("auto")),
            Self::Is(format) => format.to_possible_value(),
        }
    }
}

impl FormatChoice {
    /// Bytes that would garble a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Is(format) if format.is_binary())
    }
}

impl fmt::Display for FormatChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}
