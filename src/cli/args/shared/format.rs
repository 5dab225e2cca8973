//! The form of a result.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::query::Format;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatChoice {
    Auto,
    Is(Format),
}

impl ValueEnum for FormatChoice {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self::Auto,
                Self::Is(Format::Table),
                Self::Is(Format::Csv),
                Self::Is(Format::CsvSpreadsheet),
                Self::Is(Format::Json),
                Self::Is(Format::Ndjson),
                Self::Is(Format::Parquet),
                Self::Is(Format::Arrow),
                Self::Is(Format::Markdown),
                Self::Is(Format::Null),
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
