//! Reads the fields of one tick from captured values or from the Kafka record, and appends them as a row.

use std::borrow::Cow;

use crate::market::{ExtraColumn, ExtraSpec, MarketZone, Tick, TickColumns, plausible_kafka_millis};

use crate::decode::input::InputSettings;
use crate::decode::json::detail::explain;
use crate::decode::json::field_origin::{FieldOrigin, ScannedDocument};
use crate::decode::json::number::number_in_text;
use crate::decode::json::plan::{Capture, CaptureKind};
use crate::decode::json::text::unescape;
use crate::decode::symbol::{SymbolRules, check_symbol};
use crate::decode::time::{TimeReader, check_range};
use crate::decode::verdict::{Coercions, Rejection, RejectionReason};

/// The sources of all fields for one kind of tick.
#[derive(Debug, Clone, Default)]
pub(in crate::decode) struct TickMapping {
    pub symbol: FieldOrigin,
    pub ts: FieldOrigin,
    pub open: FieldOrigin,
    pub high: FieldOrigin,
    pub low: FieldOrigin,
    pub close: FieldOrigin,
    pub volume: FieldOrigin,
    pub trade_id: FieldOrigin,
    pub source: FieldOrigin,
    /// Sources of the extra columns, in the order of the columns.
    pub extras: Vec<FieldOrigin>,
    /// Whether the format defines numbers as strings, so that they don't count as coerced.
    pub text_numbers: bool,
}

/// The value of a field before it is converted to a type.
#[derive(Clone, Copy)]
enum FieldValue<'p> {
    Missing,
    Json(&'p str, Capture),
    Text(&'p str),
}

/// Reads ticks and appends them as rows.
#[derive(Debug, Clone)]
pub(in crate::decode) struct RowReader {
    pub time: TimeReader,
    rules: SymbolRules,
    zone: MarketZone,
    pub extras: Vec<(String, ExtraSpec)>,
    /// Coercions in the current message. They are added to the total once the message is accepted.
    pub coercions: Coercions,
}

#[cold]
fn missing(field: &str) -> Rejection {
    Rejection::new(RejectionReason::MissingField, format!("{field}: missing or null"))
}

#[cold]
fn wrong(field: &str, reason: RejectionReason) -> Rejection {
    let what = match reason {
        RejectionReason::Type => "value of another type",
        RejectionReason::NonFinite => "not a finite number",
        RejectionReason::OutOfRange => "out of range",
        RejectionReason::Encoding => "not valid Unicode",
        _ => "not valid",
    };
    Rejection::new(reason, format!("{field}: {what}"))
}

impl RowReader {
    pub(in crate::decode) fn new(settings: &InputSettings, time: TimeReader, zone: MarketZone) -> Self {
        let extras = settings.columns.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect();
        Self { time, rules: SymbolRules::new(settings), zone, extras, coercions: Coercions::default() }
    }

    /// Appends a row; returns false if the symbol filter excludes it.
    pub(in crate::decode) fn row(
        &mut self,
        tick_mapping: &TickMapping,
        scanned: ScannedDocument<'_, '_>,
        index: i32,
        rows: &mut TickColumns,
    ) -> Result<bool, Rejection> {
        let symbol = self
            .symbol(tick_mapping, scanned)
            .map_err(|rejection| explain(rejection, &tick_mapping.symbol, scanned))?;
        if !self.rules.lets_in(&symbol) {
            return Ok(false);
        }
        let kafka = plausible_kafka_millis(scanned.message.timestamp);
        let ts =
            self.ts(tick_mapping, scanned, kafka).map_err(|rejection| explain(rejection, &tick_mapping.ts, scanned))?;
        let close = self.price("close", &tick_mapping.close, tick_mapping, scanned, &symbol)?;
        let close = close.ok_or_else(|| explain(missing("close"), &tick_mapping.close, scanned))?;
        let open = self.price("open", &tick_mapping.open, tick_mapping, scanned, &symbol)?;
        let high = self.price("high", &tick_mapping.high, tick_mapping, scanned, &symbol)?;
        let low = self.price("low", &tick_mapping.low, tick_mapping, scanned, &symbol)?;
        let volume = self
            .volume(tick_mapping, scanned)
            .map_err(|rejection| explain(rejection, &tick_mapping.volume, scanned))?;
        let trade_id = value(&tick_mapping.trade_id, scanned).and_then(|value| self.text_or_integer("trade_id", value));
        let trade_id = trade_id.map_err(|rejection| explain(rejection, &tick_mapping.trade_id, scanned))?;
        let source = value(&tick_mapping.source, scanned).and_then(|value| self.text("source", value));
        let source = source.map_err(|rejection| explain(rejection, &tick_mapping.source, scanned))?;
        let tick = Tick {
            symbol: &symbol,
            ts,
            open,
            high,
            low,
            close,
            volume,
            trade_id: trade_id.as_deref(),
            source: source.as_deref(),
        };
        let date = self.zone.trade_date(ts);
        rows.push(&tick, date, scanned.message.offset, index, kafka);
        self.push_extras(tick_mapping, scanned, rows)?;
        Ok(true)
    }

    #[inline]
    fn symbol<'p>(
        &mut self,
        tick_mapping: &'p TickMapping,
        scanned: ScannedDocument<'_, 'p>,
    ) -> Result<Cow<'p, str>, Rejection> {
        let symbol = self.text("symbol", value(&tick_mapping.symbol, scanned)?)?.ok_or_else(|| missing("symbol"))?;
        check_symbol(&symbol)?;
        Ok(symbol)
    }

    #[inline]
    fn volume(
        &mut self,
        tick_mapping: &TickMapping,
        scanned: ScannedDocument<'_, '_>,
    ) -> Result<Option<f64>, Rejection> {
        match self.number("volume", value(&tick_mapping.volume, scanned)?, tick_mapping.text_numbers)? {
            Some(volume) if volume < 0.0 => Err(wrong("volume", RejectionReason::OutOfRange)),
            volume => Ok(volume),
        }
    }

    /// Reads the event time. `kafka` is the Kafka timestamp, if it is plausible.
    #[inline]
    fn ts(
        &mut self,
        tick_mapping: &TickMapping,
        scanned: ScannedDocument<'_, '_>,
        kafka: Option<i64>,
    ) -> Result<i64, Rejection> {
        if matches!(tick_mapping.ts, FieldOrigin::KafkaTimestamp) {
            let millis = scanned.message.timestamp.ok_or_else(|| missing("ts (Kafka timestamp)"))?;
            let ts = millis
                .checked_mul(1_000)
                .ok_or_else(|| Rejection::new(RejectionReason::TsOutOfRange, "ts: beyond the range of microseconds"))?;
            check_range(ts, kafka)?;
            return Ok(ts);
        }
        let coercions = &mut self.coercions;
        let ts = match value(&tick_mapping.ts, scanned)? {
            FieldValue::Missing => return Err(missing("ts")),
            FieldValue::Json(literal, Capture { kind: CaptureKind::Number, number, .. }) => {
                self.time.number(number, literal, coercions)?
            }
            FieldValue::Json(_, Capture { kind: CaptureKind::Null, .. }) => return Err(missing("ts")),
            other => {
                let text = string(other).map_err(|reason| wrong("ts", reason))?;
                let number =
                    if self.time.unit().takes_numbers() { number_in_text(&text) } else { Err(RejectionReason::Type) };
                match number {
                    Ok(number) => {
                        coercions.numeric_string += 1;
                        self.time.number(number, &text, coercions)?
                    }
                    Err(_) if self.time.unit().takes_text() => self.time.text(&text, coercions)?,
                    Err(reason) => return Err(wrong("ts", reason)),
                }
            }
        };
        check_range(ts, kafka)?;
        Ok(ts)
    }

    #[inline]
    fn price(
        &mut self,
        field: &'static str,
        origin: &FieldOrigin,
        tick_mapping: &TickMapping,
        scanned: ScannedDocument<'_, '_>,
        symbol: &str,
    ) -> Result<Option<f64>, Rejection> {
        let price = value(origin, scanned).and_then(|value| self.number(field, value, tick_mapping.text_numbers));
        let problem = match price {
            Ok(Some(price)) if price > 0.0 => return Ok(Some(price)),
            Ok(None) => return Ok(None),
            Ok(Some(price)) if self.rules.may_be_negative(symbol) => return Ok(Some(price)),
            Ok(Some(_)) => Rejection::new(
                RejectionReason::OutOfRange,
                format!("{field}: not above zero (see input.allow_negative)"),
            ),
            Err(problem) => problem,
        };
        Err(explain(problem, origin, scanned))
    }

    #[inline]
    fn number(&mut self, field: &str, value: FieldValue<'_>, text_numbers: bool) -> Result<Option<f64>, Rejection> {
        let result = match value {
            FieldValue::Json(literal, Capture { kind: CaptureKind::Number, number, .. }) => {
                number.to_f64(literal, &mut self.coercions)
            }
            FieldValue::Missing | FieldValue::Json(_, Capture { kind: CaptureKind::Null, .. }) => return Ok(None),
            other => string(other).and_then(|text| {
                let number = number_in_text(&text)?;
                self.coercions.numeric_string += u64::from(!text_numbers);
                number.to_f64(&text, &mut self.coercions)
            }),
        };
        // Adding 0.0 turns -0 into 0.
        result.map(|number| Some(number + 0.0)).map_err(|reason| wrong(field, reason))
    }

    #[inline]
    fn text<'p>(&mut self, field: &str, value: FieldValue<'p>) -> Result<Option<Cow<'p, str>>, Rejection> {
        match value {
            FieldValue::Missing | FieldValue::Json(_, Capture { kind: CaptureKind::Null, .. }) => Ok(None),
            other => string(other).map(Some).map_err(|reason| wrong(field, reason)),
        }
    }

    /// Reads an identifier as text. Some feeds send integers as identifiers.
    #[inline]
    fn text_or_integer<'p>(&mut self, field: &str, value: FieldValue<'p>) -> Result<Option<Cow<'p, str>>, Rejection> {
        match value {
            FieldValue::Json(literal, Capture { kind: CaptureKind::Number, number, .. }) if number.integer => {
                Ok(Some(literal.into()))
            }
            FieldValue::Json(literal, Capture { kind: CaptureKind::Number, number, .. }) => {
                let integer = number.to_i64(literal, &mut self.coercions).map_err(|reason| wrong(field, reason))?;
                Ok(Some(integer.to_string().into()))
            }
            other => self.text(field, other),
        }
    }

    fn push_extras(
        &mut self,
        tick_mapping: &TickMapping,
        scanned: ScannedDocument<'_, '_>,
        rows: &mut TickColumns,
    ) -> Result<(), Rejection> {
        for (at, (origin, column)) in tick_mapping.extras.iter().zip(&mut rows.extras).enumerate() {
            // Unlike a Kafka key, which may not be valid text, this value comes from the document.
            let value = value(origin, scanned)?;
            let pushed = match column {
                ExtraColumn::Double(values) => {
                    self.number("", value, tick_mapping.text_numbers).map(|value| values.push(value))
                }
                ExtraColumn::Bigint(values) => {
                    self.integer(value, tick_mapping.text_numbers).map(|value| values.push(value))
                }
                ExtraColumn::String(values) => {
                    self.text_or_integer("", value).map(|value| values.push(value.as_deref()))
                }
                ExtraColumn::Boolean(values) => boolean(value).map(|value| values.push(value)),
            };
            if let Err(rejection) = pushed {
                let named = wrong(&format!("columns.{}", self.extras[at].0), rejection.reason);
                return Err(explain(named, origin, scanned));
            }
        }
        Ok(())
    }

    fn integer(&mut self, value: FieldValue<'_>, text_numbers: bool) -> Result<Option<i64>, Rejection> {
        let result = match value {
            FieldValue::Json(literal, Capture { kind: CaptureKind::Number, number, .. }) => {
                number.to_i64(literal, &mut self.coercions)
            }
            FieldValue::Missing | FieldValue::Json(_, Capture { kind: CaptureKind::Null, .. }) => return Ok(None),
            other => string(other).and_then(|text| {
                let number = number_in_text(&text)?;
                self.coercions.numeric_string += u64::from(!text_numbers);
                number.to_i64(&text, &mut self.coercions)
            }),
        };
        result.map(Some).map_err(|reason| wrong("", reason))
    }
}

fn boolean(value: FieldValue<'_>) -> Result<Option<bool>, Rejection> {
    match value {
        FieldValue::Missing | FieldValue::Json(_, Capture { kind: CaptureKind::Null, .. }) => Ok(None),
        FieldValue::Json(_, Capture { kind: CaptureKind::True, .. }) => Ok(Some(true)),
        FieldValue::Json(_, Capture { kind: CaptureKind::False, .. }) => Ok(Some(false)),
        _ => Err(wrong("", RejectionReason::Type)),
    }
}

#[inline]
fn value<'p>(origin: &'p FieldOrigin, scanned: ScannedDocument<'_, 'p>) -> Result<FieldValue<'p>, Rejection> {
    let bytes = match origin {
        FieldOrigin::Slot(slot, _) => {
            let capture = scanned.captures[*slot];
            if capture.kind == CaptureKind::Missing {
                return Ok(FieldValue::Missing);
            }
            return Ok(FieldValue::Json(capture.text(scanned.text), capture));
        }
        FieldOrigin::Absent | FieldOrigin::KafkaTimestamp => return Ok(FieldValue::Missing),
        FieldOrigin::Constant(text) => return Ok(FieldValue::Text(text)),
        FieldOrigin::KafkaKey => scanned.message.key,
        FieldOrigin::Header(name) => {
            scanned.message.headers.iter().find(|(key, _)| *key == &**name).and_then(|(_, value)| *value)
        }
    };
    match bytes.map(std::str::from_utf8) {
        None => Ok(FieldValue::Missing),
        Some(Ok(text)) => Ok(FieldValue::Text(text)),
        Some(Err(_)) => Err(Rejection::new(RejectionReason::Encoding, "Kafka key or header is not UTF-8")),
    }
}

/// The text of a string value. Other values are an error of reason `Type`.
#[inline]
fn string(value: FieldValue<'_>) -> Result<Cow<'_, str>, RejectionReason> {
    match value {
        FieldValue::Text(text) | FieldValue::Json(text, Capture { kind: CaptureKind::PlainString, .. }) => {
            Ok(Cow::Borrowed(text))
        }
        FieldValue::Json(text, Capture { kind: CaptureKind::EscapedString, .. }) => {
            unescape(text).map(Cow::Owned).ok_or(RejectionReason::Encoding)
        }
        _ => Err(RejectionReason::Type),
    }
}
