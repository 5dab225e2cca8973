//! The outcome of decoding a message.

use std::borrow::Cow;
use std::fmt;

/// A Kafka record whose data is borrowed from librdkafka.
#[derive(Debug, Clone, Copy)]
pub struct RawMessage<'a> {
    pub payload: Option<&'a [u8]>,
    pub key: Option<&'a [u8]>,
    /// The headers, which are only filled if [`Decoder::needs_headers`](crate::decode::Decoder::needs_headers).
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    pub offset: i64,
    /// The Kafka timestamp of the record, in milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

/// Number of bytes that a dead letter keeps of a payload above the size limit.
pub const KEPT_BYTES_OF_TOO_LARGE: usize = 64 << 10;

/// The outcome of a message. `Ticks(n)` means that `n >= 1` rows were appended.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Ticks(usize),
    Dead(Rejection),
    Skipped(SkipKind),
}

/// Why a message became a dead letter. `detail` names the index of the tick and the field, the location of the field's
/// value, its type and its first characters, but never the entire payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub reason: RejectionReason,
    pub detail: Cow<'static, str>,
    /// Position of a syntax error in the document.
    pub(in crate::decode) at: Option<usize>,
    /// Position in the detail at which a value from the message starts.
    pub(in crate::decode) value_at: Option<usize>,
}

impl Rejection {
    pub fn new(reason: RejectionReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), at: None, value_at: None }
    }

    /// The detail without the first characters of the value, for logs and error messages.
    pub fn masked(&self) -> &str {
        self.value_at.and_then(|at| self.detail.get(..at)).unwrap_or(&self.detail)
    }
}

/// Why a message produces neither ticks nor a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipKind {
    /// The payload is null.
    Tombstone,
    /// A frame that the preset recognises as one without ticks. The kind is the preset's name for it.
    NotATick(&'static str),
    /// The configured symbol filter excludes the symbol.
    Filtered,
}

impl fmt::Display for SkipKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tombstone => f.write_str("tombstone"),
            Self::NotATick(kind) => f.write_str(kind),
            Self::Filtered => f.write_str("filtered"),
        }
    }
}

macro_rules! reasons {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// Reason code of a dead letter, as stored in the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectionReason { $($variant),+ }

        impl RejectionReason {
            pub const ALL: &[RejectionReason] = &[$(RejectionReason::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

reasons! {
    Empty = "empty",
    NotObject = "not_object",
    UnknownType = "unknown_type",
    TrailingData = "trailing_data",
    Syntax = "syntax",
    Encoding = "encoding",
    NonFinite = "non_finite",
    OutOfRange = "out_of_range",
    Type = "type",
    MissingField = "missing_field",
    DuplicateKey = "duplicate_key",
    TooDeep = "too_deep",
    TooManyFields = "too_many_fields",
    TooLarge = "too_large",
    Compressed = "compressed",
    AvroMagic = "avro_magic",
    NaiveTs = "naive_ts",
    AmbiguousTs = "ambiguous_ts",
    TsOutOfRange = "ts_out_of_range",
    TsFuture = "ts_future",
    TsParse = "ts_parse",
    BadSymbol = "bad_symbol",
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Number of values that were accepted after a conversion, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coercions {
    pub byte_order_mark: u64,
    pub numeric_string: u64,
    pub integral_float: u64,
    pub precision_loss: u64,
    pub auto_time_unit: u64,
    pub leap_second: u64,
    /// Kafka timestamps that are stored as NULL because they are implausible.
    pub kafka_timestamp: u64,
}

impl Coercions {
    /// The kinds that occurred, with their counts.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = [
            ("byte order mark", self.byte_order_mark),
            ("number in quotes", self.numeric_string),
            ("integer with a fraction of zero or an exponent", self.integral_float),
            ("integer beyond the precision of a double", self.precision_loss),
            ("guessed unit of time", self.auto_time_unit),
            ("leap second", self.leap_second),
            ("Kafka timestamp outside of 1990 to 2261", self.kafka_timestamp),
        ];
        kinds.into_iter().filter(|(_, count)| *count > 0)
    }

    pub fn add(&mut self, other: &Coercions) {
        self.byte_order_mark += other.byte_order_mark;
        self.numeric_string += other.numeric_string;
        self.integral_float += other.integral_float;
        self.precision_loss += other.precision_loss;
        self.auto_time_unit += other.auto_time_unit;
        self.leap_second += other.leap_second;
        self.kafka_timestamp += other.kafka_timestamp;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented_with_its_cause_and_way_out() {
        let documented: Vec<Vec<&str>> = include_str!("../../docs/dead-letters.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        for reason in RejectionReason::ALL {
            let row = documented.iter().find(|row| row[1] == format!("`{reason}`"));
            let row = row.unwrap_or_else(|| panic!("{reason} is not in docs/dead-letters.md"));
            assert!(row.len() == 5 && !row[2].is_empty() && !row[3].is_empty(), "{reason}: {row:?}");
        }
    }
}
