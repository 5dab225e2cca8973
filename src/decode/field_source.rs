//! The source of a field of a tick, and the unit of times.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX_POINTER_TOKENS: usize = 32;

/// The unit or text format of event times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    S,
    Ms,
    Us,
    Ns,
    /// Date and time with an offset. If the offset is missing, `zone` applies.
    Rfc3339,
    /// Date and time without an offset, in `zone`.
    Naive,
    /// Text, or a number whose unit is derived from its magnitude.
    Auto,
}

impl TimeUnit {
    pub(in crate::decode) fn takes_numbers(self) -> bool {
        !matches!(self, Self::Rfc3339 | Self::Naive)
    }

    pub(in crate::decode) fn takes_text(self) -> bool {
        matches!(self, Self::Rfc3339 | Self::Naive | Self::Auto)
    }
}

/// The source of a field: `/json/pointer`, `constant:VALUE`, `kafka.key`, `kafka.timestamp` or `header:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldSource {
    Pointer(String),
    Constant(String),
    KafkaKey,
    KafkaTimestamp,
    Header(String),
}

impl TryFrom<String> for FieldSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FieldSource> for String {
    fn from(source: FieldSource) -> Self {
        source.to_string()
    }
}

impl FromStr for FieldSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kafka.key" => return Ok(Self::KafkaKey),
            "kafka.timestamp" => return Ok(Self::KafkaTimestamp),
            _ => {}
        }
        if let Some(value) = text.strip_prefix("constant:") {
            return Ok(Self::Constant(value.to_owned()));
        }
        if let Some(name) = text.strip_prefix("header:").filter(|name| !name.is_empty()) {
            return Ok(Self::Header(name.to_owned()));
        }
        check_pointer(text)?;
        Ok(Self::Pointer(text.to_owned()))
    }
}

impl fmt::Display for FieldSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => f.write_str(pointer),
            Self::Constant(value) => write!(f, "constant:{value}"),
            Self::KafkaKey => f.write_str("kafka.key"),
            Self::KafkaTimestamp => f.write_str("kafka.timestamp"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

pub(in crate::decode) fn check_pointer(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!(
            "'{text}' is no source; use a JSON pointer such as '/price', constant:VALUE, kafka.key, kafka.timestamp \
             or header:NAME"
        ));
    }
    let tilde = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !tilde {
        return Err(format!("'{text}' is no JSON pointer; write ~0 for ~ and ~1 for /"));
    }
    if text.split('/').count() > MAX_POINTER_TOKENS {
        return Err(format!("'{text}' is deeper than {} keys", MAX_POINTER_TOKENS - 1));
    }
    Ok(())
}
