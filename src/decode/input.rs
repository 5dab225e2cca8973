//! The user's configuration of how messages are decoded: a preset, or a mapping of fields.
//!
//! It is stored with the table as JSON. Defaults are left out, so that a new key doesn't change the stored form of
//! existing tables.

use std::collections::BTreeMap;
use std::fmt;

use chrono_tz::Tz;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::market::ExtraSpec;

use crate::decode::field_source::{FieldSource, TimeUnit, check_pointer};
use crate::decode::time_format::TimeFormat;

const DEFAULT_MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Positions in a message are stored as 32-bit numbers.
const HIGHEST_MAX_MESSAGE_BYTES: usize = 1 << 30;
const MAX_COLUMNS: usize = 200;
/// Columns of the ticks table, whose names can't be used for extra columns.
const RESERVED_COLUMNS: [&str; 19] = [
    "symbol",
    "ts",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trade_id",
    "source",
    "kafka_epoch",
    "kafka_partition",
    "kafka_offset",
    "kafka_index",
    "kafka_ts",
    "ingested_at",
    "trade_date",
    "trade_month",
    "trade_year",
    "_change_type",
];

/// A message format that is supported without a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    Canonical,
    SymbolClose,
    PriceChange,
    Binance,
    Coinbase,
    Finnhub,
    Alpaca,
    Massive,
}

impl Preset {
    /// Whether the preset is for raw frames of an exchange or a vendor. They have a parser in `decode/json/`, and their
    /// times are always UTC. The other presets are mappings of flat objects, to which `zone` and `ts_format` apply.
    pub fn is_exchange(self) -> bool {
        match self {
            Self::Canonical | Self::SymbolClose | Self::PriceChange => false,
            Self::Binance | Self::Coinbase | Self::Finnhub | Self::Alpaca | Self::Massive => true,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no preset is hidden").get_name())
    }
}

/// The `[input]` and `[columns]` sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<FieldSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<FieldSource>,
    /// Time unit of a mapping; presets define their own. The default is `rfc3339`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<TimeUnit>,
    /// A strftime pattern for times in text, which replaces RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts_format: Option<String>,
    /// IANA name of the time zone for times without an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Symbols whose prices may be zero or negative; `*` stands for all symbols.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_negative: Vec<String>,
    /// If not empty, only these symbols are accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    #[serde(skip_serializing_if = "is_default_max_message_bytes")]
    pub max_message_bytes: usize,
    /// Extra columns by name. Their paths are relative to the object that contains the tick.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ExtraSpec>,
}

fn is_default_max_message_bytes(bytes: &usize) -> bool {
    *bytes == DEFAULT_MAX_MESSAGE_BYTES
}

impl Default for InputSettings {
    /// Neither a preset nor a mapping. It is invalid until one of them is set.
    fn default() -> Self {
        Self {
            preset: None,
            symbol: None,
            ts: None,
            open: None,
            high: None,
            low: None,
            close: None,
            volume: None,
            trade_id: None,
            source: None,
            time_unit: None,
            ts_format: None,
            zone: None,
            allow_negative: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            columns: BTreeMap::new(),
        }
    }
}

/// An invalid setting. The message names the key and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InputError {
    /// The key in the configuration file, such as `input.zone` or `columns.bid`.
    pub key: String,
    pub problem: String,
}

impl InputError {
    fn new(key: &str, problem: impl Into<String>) -> Self {
        Self { key: format!("input.{key}"), problem: problem.into() }
    }

    fn column(key: String, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }
}

impl InputSettings {
    /// The settings of a preset, with all other settings at their defaults.
    pub fn preset(preset: Preset) -> Self {
        Self { preset: Some(preset), ..Self::default() }
    }

    /// All fields of the mapping with their keys.
    fn fields(&self) -> [(&'static str, &Option<FieldSource>); 9] {
        [
            ("symbol", &self.symbol),
            ("ts", &self.ts),
            ("open", &self.open),
            ("high", &self.high),
            ("low", &self.low),
            ("close", &self.close),
            ("volume", &self.volume),
            ("trade_id", &self.trade_id),
            ("source", &self.source),
        ]
    }

    /// Whether no field has a configured source.
    pub fn is_unmapped(&self) -> bool {
        self.fields().iter().all(|(_, source)| source.is_none())
    }

    /// The mapping that is equivalent to these settings; `None` for frames of an exchange or a vendor.
    pub fn mapping(&self) -> Option<InputSettings> {
        let Some(preset) = self.preset else { return Some(self.clone()) };
        let at = |pointer: &str| Some(FieldSource::Pointer(pointer.to_owned()));
        let fields = match preset {
            Preset::Binance | Preset::Coinbase | Preset::Finnhub | Preset::Alpaca | Preset::Massive => return None,
            Preset::SymbolClose => InputSettings {
                symbol: at("/symbol"),
                ts: at("/Date-Time"),
                close: at("/Close"),
                volume: at("/Volume"),
                time_unit: Some(TimeUnit::Naive),
                ..InputSettings::default()
            },
            Preset::PriceChange => InputSettings {
                symbol: at("/symbol"),
                ts: at("/timestamp"),
                close: at("/price"),
                volume: at("/volume"),
                time_unit: Some(TimeUnit::Naive),
                ..InputSettings::default()
            },
            Preset::Canonical => InputSettings {
                symbol: at("/symbol"),
                ts: at("/ts"),
                open: at("/open"),
                high: at("/high"),
                low: at("/low"),
                close: at("/close"),
                volume: at("/volume"),
                trade_id: at("/trade_id"),
                source: at("/source"),
                time_unit: Some(TimeUnit::Rfc3339),
                ..InputSettings::default()
            },
        };
        let (zone, ts_format) = (self.zone.clone(), self.ts_format.clone());
        Some(InputSettings { zone, ts_format, ..fields })
    }

    /// Optional fields of a mapping and extra columns, each with its source: a JSON pointer, a header or the key.
    pub fn optional_sources(&self) -> impl Iterator<Item = (&str, String)> {
        let fields = self.fields().into_iter().filter_map(|(name, source)| match source {
            Some(FieldSource::Constant(_)) | None => None,
            Some(source) => Some((name, source.to_string())).filter(|_| !matches!(name, "symbol" | "ts" | "close")),
        });
        fields.chain(self.columns.iter().map(|(name, spec)| (name.as_str(), spec.path.clone())))
    }

    /// The pointers and headers that every message must have, with their fields.
    pub fn required_sources(&self) -> impl Iterator<Item = (&'static str, String)> {
        let required = self.fields().into_iter().filter(|(name, _)| matches!(*name, "symbol" | "ts" | "close"));
        required.filter_map(|(name, source)| match source {
            Some(source @ (FieldSource::Pointer(_) | FieldSource::Header(_))) => Some((name, source.to_string())),
            _ => None,
        })
    }

    pub(in crate::decode) fn time_zone(&self) -> Result<Option<Tz>, InputError> {
        let parse = |name: &String| {
            name.parse::<Tz>().map_err(|_| {
                InputError::new("zone", format!("'{name}' is no IANA time zone; use a name like 'America/New_York'"))
            })
        };
        self.zone.as_ref().map(parse).transpose()
    }

    pub(in crate::decode) fn time_format(&self) -> Result<Option<TimeFormat>, InputError> {
        let format = self.ts_format.as_deref().map(TimeFormat::new).transpose();
        format.map_err(|problem| InputError::new("ts_format", problem))
    }

    fn validate_time_format(&self) -> Result<(), InputError> {
        let Some(format) = self.time_format()? else { return Ok(()) };
        if self.time_unit.is_some() {
            return Err(InputError::new(
                "ts_format",
                "says how times are written, and so does input.time_unit; remove one",
            ));
        }
        if !format.has_offset() && self.zone.is_none() {
            return Err(InputError::new(
                "zone",
                "missing; times of input.ts_format have no offset and need an IANA zone",
            ));
        }
        Ok(())
    }

    /// Validates the settings.
    ///
    /// # Errors
    /// The first invalid setting.
    pub fn validate(&self) -> Result<(), InputError> {
        match self.preset {
            Some(preset) => self.validate_preset(preset)?,
            None => self.validate_mapping()?,
        }
        self.time_zone()?;
        self.validate_time_format()?;
        if !(1..=HIGHEST_MAX_MESSAGE_BYTES).contains(&self.max_message_bytes) {
            return Err(InputError::new("max_message_bytes", "not between 1 and 1073741824; the default is 1048576"));
        }
        for (key, symbols) in [("include", &self.include), ("exclude", &self.exclude)] {
            if symbols.iter().any(|symbol| symbol.trim().is_empty()) {
                return Err(InputError::new(key, "an empty symbol matches nothing; remove it"));
            }
        }
        if let Some(symbol) = self.include.iter().find(|symbol| self.exclude.contains(symbol)) {
            return Err(InputError::new("exclude", format!("'{symbol}' is also in input.include; remove one of them")));
        }
        self.validate_columns()
    }

    fn validate_preset(&self, preset: Preset) -> Result<(), InputError> {
        if let Some((key, _)) = self.fields().into_iter().find(|(_, source)| source.is_some()) {
            return Err(InputError::new(
                key,
                format!(
                    "can't be mapped together with preset '{preset}'; remove it, or remove input.preset and map every \
                     field"
                ),
            ));
        }
        if self.time_unit.is_some() {
            return Err(InputError::new("time_unit", format!("preset '{preset}' knows its own; remove it")));
        }
        if preset.is_exchange() && self.ts_format.is_some() {
            return Err(InputError::new("ts_format", format!("preset '{preset}' knows its own; remove it")));
        }
        if preset.is_exchange() && self.zone.is_some() {
            return Err(InputError::new("zone", format!("times of preset '{preset}' are UTC; remove it")));
        }
        Ok(())
    }

    fn validate_mapping(&self) -> Result<(), InputError> {
        if self.is_unmapped() {
            let names: Vec<String> = Preset::value_variants().iter().map(ToString::to_string).collect();
            let problem = format!("missing; set one of {}, or map symbol, ts and close", names.join(", "));
            return Err(InputError::new("preset", problem));
        }
        for (key, source) in self.fields() {
            match source {
                None if matches!(key, "symbol" | "ts" | "close") => {
                    return Err(InputError::new(
                        key,
                        "missing; set a JSON pointer such as '/price', or another source",
                    ));
                }
                Some(FieldSource::KafkaTimestamp) if key != "ts" => {
                    return Err(InputError::new(key, "the Kafka timestamp can only be mapped to ts"));
                }
                Some(FieldSource::Constant(_)) if key == "ts" => {
                    return Err(InputError::new(key, "can't be constant; use a JSON pointer or 'kafka.timestamp'"));
                }
                Some(FieldSource::Pointer(pointer)) => {
                    check_pointer(pointer).map_err(|problem| InputError::new(key, problem))?;
                }
                _ => {}
            }
        }
        if self.time_unit == Some(TimeUnit::Naive) && self.zone.is_none() {
            return Err(InputError::new("zone", "missing; times without an offset need an IANA zone"));
        }
        Ok(())
    }

    fn validate_columns(&self) -> Result<(), InputError> {
        if self.columns.len() > MAX_COLUMNS {
            return Err(InputError::column("columns".to_owned(), format!("more than {MAX_COLUMNS}; remove some")));
        }
        for (name, spec) in &self.columns {
            let key = format!("columns.{name}");
            let snake_case = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
                && name.len() <= 64;
            if !snake_case {
                return Err(InputError::column(
                    key,
                    "not a column name; use up to 64 of a-z, 0-9 and _, a letter first",
                ));
            }
            if RESERVED_COLUMNS.contains(&name.as_str()) {
                return Err(InputError::column(key, "the table has a column of this name; use another"));
            }
            if !spec.path.starts_with('/') {
                let problem =
                    format!("'{}' is no JSON pointer such as '/quote/bid', the only source of a column", spec.path);
                return Err(InputError::column(format!("{key}.path"), problem));
            }
            check_pointer(&spec.path).map_err(|problem| InputError::column(format!("{key}.path"), problem))?;
        }
        Ok(())
    }
}
