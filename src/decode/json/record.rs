//! The fields of one tick: from captured values, or from the Kafka record, to a row.

use std::borrow::Cow;

use crate::market::{ExtraColumn, ExtraSpec, MarketZone, Tick, TickColumns, plausible_kafka_millis};

use crate::decode::input::InputSettings;
use crate::decode::json::detail::explain;
use crate::decode::json::number::number_in_text;
use crate::decode::json::origin::{Origin, Scanned};
use crate::decode::json::plan::{Capture, Kind};
use crate::decode::json::text::unescape;
use crate::decode::symbol::{SymbolRules, check_symbol};
use crate::decode::time::{TimeReader, check_range};
use crate::decode::verdict::{Coercions, Reason, Rejection};

/// Origins of all fields of one kind of tick.
#[derive(Debug, Clone, Default)]
pub(in crate::decode) struct Record {
    pub symbol: Origin,
    pub ts: Origin,
    pub open: Origin,
    pub high: Origin,
    pub low: Origin,
    pub close: Origin,
    pub volume: Origin,
    pub trade_id: Origin,
    pub source: Origin,
    /// In the order of the extra columns.
    pub extras: Vec<Origin>,
    /// Numbers are strings by the format's own definition: not counted as coerced.
    pub text_numbers: bool,
}

/// A field's value before it has a type.
#[derive(Clone, Copy)]
enum Value<'p> {
    Missing,
    Json(&'p str, Capture),
    Text(&'p str),
}

/// Turns records into rows.
#[derive(Debug, Clone)]
pub(in crate::decode) struct RowReader {
    pub time: TimeReader,
    rules: SymbolRules,
    zone: MarketZone,
    pub extras: Vec<(String, ExtraSpec)>,
    /// Of the current message; they count once it is accepted.
    pub coercions: Coercions,
}

#[cold]
fn missing(field: &str) -> Rejection {
    Rejection::new(Reason::MissingField, format!("{field}: missing or null"))
}

#[cold]
fn wrong(field: &str, reason: Reason) -> Rejection {
    let what = match reason {
        Reason::Type => "value of another type",
        Reason::NonFinite => "not a finite number",
        Reason::OutOfRange => "out of range",
        Reason::Encoding => "not valid Unicode",
        _ => "not valid",
    };
    Rejection::new(reason, format!("{field}: {what}"))
}

impl RowReader {
    pub(in crate::decode) fn new(settings: &InputSettings, time: TimeReader, zone: MarketZone) -> Self {
        let extras = settings.columns.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect();
        Self { time, rules: SymbolRules::new(settings), zone, extras, coercions: Coercions::default() }
    }

    /// Appends a row; false if the symbol filter keeps it out.
    pub(in crate::decode) fn row(
        &mut self,
        record: &Record,
        scanned: Scanned<'_, '_>,
        index: i32,
        rows: &mut TickColumns,
    ) -> Result<bool, Rejection> {
        let symbol = self.symbol(record, scanned).map_err(|rejection| explain(rejection, &record.symbol, scanned))?;
        if !self.rules.lets_in(&symbol) {
            return Ok(false);
        }
        let kafka = plausible_kafka_millis(scanned.message.timestamp);
        let ts = self.ts(record, scanned, kafka).map_err(|rejection| explain(rejection, &record.ts, scanned))?;
        let close = self.price("close", &record.close, record, scanned, &symbol)?;
        let close = close.ok_or_else(|| explain(missing("close"), &record.close, scanned))?;
        let open = self.price("open", &record.open, record, scanned, &symbol)?;
        let high = self.price("high", &record.high, record, scanned, &symbol)?;
        let low = self.price("low", &record.low, record, scanned, &symbol)?;
        let volume = self.volume(record, scanned).map_err(|rejection| explain(rejection, &record.volume, scanned))?;
        let trade_id = value(&record.trade_id, scanned).and_then(|value| self.text_or_integer("trade_id", value));
        let trade_id = trade_id.map_err(|rejection| explain(rejection, &record.trade_id, scanned))?;
        let source = value(&record.source, scanned).and_then(|value| self.text("source", value));
        let source = source.map_err(|rejection| explain(rejection, &record.source, scanned))?;
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
        self.push_extras(record, scanned, rows)?;
        Ok(true)
    }

    #[inline]
    fn symbol<'p>(&mut self, record: &'p Record, scanned: Scanned<'_, 'p>) -> Result<Cow<'p, str>, Rejection> {
        let symbol = self.text("symbol", value(&record.symbol, scanned)?)?.ok_or_else(|| missing("symbol"))?;
        check_symbol(&symbol)?;
        Ok(symbol)
    }

    #[inline]
    fn volume(&mut self, record: &Record, scanned: Scanned<'_, '_>) -> Result<Option<f64>, Rejection> {
        match self.number("volume", value(&record.volume, scanned)?, record.text_numbers)? {
            Some(volume) if volume < 0.0 => Err(wrong("volume", Reason::OutOfRange)),
            volume => Ok(volume),
        }
    }

    /// `kafka`: the Kafka timestamp, if it can be one.
    #[inline]
    fn ts(&mut self, record: &Record, scanned: Scanned<'_, '_>, kafka: Option<i64>) -> Result<i64, Rejection> {
        if matches!(record.ts, Origin::KafkaTimestamp) {
            let millis = scanned.message.timestamp.ok_or_else(|| missing("ts (Kafka timestamp)"))?;
            let ts = millis
                .checked_mul(1_000)
                .ok_or_else(|| Rejection::new(Reason::TsOutOfRange, "ts: beyond the range of microseconds"))?;
            check_range(ts, kafka)?;
            return Ok(ts);
        }
        let coercions = &mut self.coercions;
        let ts = match value(&record.ts, scanned)? {
            Value::Missing => return Err(missing("ts")),
            Value::Json(literal, Capture { kind: Kind::Number, number, .. }) => {
                self.time.number(number, literal, coercions)?
            }
            Value::Json(_, Capture { kind: Kind::Null, .. }) => return Err(missing("ts")),
            other => {
                let text = string(other).map_err(|reason| wrong("ts", reason))?;
                let number = if self.time.unit().takes_numbers() { number_in_text(&text) } else { Err(Reason::Type) };
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
        origin: &Origin,
        record: &Record,
        scanned: Scanned<'_, '_>,
        symbol: &str,
    ) -> Result<Option<f64>, Rejection> {
        let price = value(origin, scanned).and_then(|value| self.number(field, value, record.text_numbers));
        let problem = match price {
            Ok(Some(price)) if price > 0.0 => return Ok(Some(price)),
            Ok(None) => return Ok(None),
            Ok(Some(price)) if self.rules.may_be_negative(symbol) => return Ok(Some(price)),
            Ok(Some(_)) => {
                Rejection::new(Reason::OutOfRange, format!("{field}: not above zero (see input.allow_negative)"))
            }
            Err(problem) => problem,
        };
        Err(explain(problem, origin, scanned))
    }

    #[inline]
    fn number(&mut self, field: &str, value: Value<'_>, text_numbers: bool) -> Result<Option<f64>, Rejection> {
        let result = match value {
            Value::Json(literal, Capture { kind: Kind::Number, number, .. }) => {
                number.to_f64(literal, &mut self.coercions)
            }
            Value::Missing | Value::Json(_, Capture { kind: Kind::Null, .. }) => return Ok(None),
            other => string(other).and_then(|text| {
                let number = number_in_text(&text)?;
                self.coercions.numeric_string += u64::from(!text_numbers);
                number.to_f64(&text, &mut self.coercions)
            }),
        };
        // -0 is 0.
        result.map(|number| Some(number + 0.0)).map_err(|reason| wrong(field, reason))
    }

    #[inline]
    fn text<'p>(&mut self, field: &str, value: Value<'p>) -> Result<Option<Cow<'p, str>>, Rejection> {
        match value {
            Value::Missing | Value::Json(_, Capture { kind: Kind::Null, .. }) => Ok(None),
            other => string(other).map(Some).map_err(|reason| wrong(field, reason)),
        }
    }

    /// Identifiers are text; feeds that number them send integers.
    #[inline]
    fn text_or_integer<'p>(&mut self, field: &str, value: Value<'p>) -> Result<Option<Cow<'p, str>>, Rejection> {
        match value {
            Value::Json(literal, Capture { kind: Kind::Number, number, .. }) if number.integer => {
                Ok(Some(literal.into()))
            }
            Value::Json(literal, Capture { kind: Kind::Number, number, .. }) => {
                let integer = number.to_i64(literal, &mut self.coercions).map_err(|reason| wrong(field, reason))?;
                Ok(Some(integer.to_string().into()))
            }
            other => self.text(field, other),
        }
    }

    fn push_extras(
        &mut self,
        record: &Record,
        scanned: Scanned<'_, '_>,
        rows: &mut TickColumns,
    ) -> Result<(), Rejection> {
        for (at, (origin, column)) in record.extras.iter().zip(&mut rows.extras).enumerate() {
            // A pointer into the document: it is no Kafka key that may be no text.
            let value = value(origin, scanned)?;
            let pushed = match column {
                ExtraColumn::Double(values) => {
                    self.number("", value, record.text_numbers).map(|value| values.push(value))
                }
                ExtraColumn::Bigint(values) => self.integer(value, record.text_numbers).map(|value| values.push(value)),
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

    fn integer(&mut self, value: Value<'_>, text_numbers: bool) -> Result<Option<i64>, Rejection> {
        let result = match value {
            Value::Json(literal, Capture { kind: Kind::Number, number, .. }) => {
                number.to_i64(literal, &mut self.coercions)
            }
            Value::Missing | Value::Json(_, Capture { kind: Kind::Null, .. }) => return Ok(None),
            other => string(other).and_then(|text| {
                let number = number_in_text(&text)?;
                self.coercions.numeric_string += u64::from(!text_numbers);
                number.to_i64(&text, &mut self.coercions)
            }),
        };
        result.map(Some).map_err(|reason| wrong("", reason))
    }
}

fn boolean(value: Value<'_>) -> Result<Option<bool>, Rejection> {
    match value {
        Value::Missing | Value::Json(_, Capture { kind: Kind::Null, .. }) => Ok(None),
        Value::Json(_, Capture { kind: Kind::True, .. }) => Ok(Some(true)),
        Value::Json(_, Capture { kind: Kind::False, .. }) => Ok(Some(false)),
        _ => Err(wrong("", Reason::Type)),
    }
}

#[inline]
fn value<'p>(origin: &'p Origin, scanned: Scanned<'_, 'p>) -> Result<Value<'p>, Rejection> {
    let bytes = match origin {
        Origin::Slot(slot, _) => {
            let capture = scanned.captures[*slot];
            if capture.kind == Kind::Missing {
                return Ok(Value::Missing);
            }
            return Ok(Value::Json(capture.text(scanned.text), capture));
        }
        Origin::Absent | Origin::KafkaTimestamp => return Ok(Value::Missing),
        Origin::Constant(text) => return Ok(Value::Text(text)),
        Origin::KafkaKey => scanned.message.key,
        Origin::Header(name) => {
            scanned.message.headers.iter().find(|(key, _)| *key == &**name).and_then(|(_, value)| *value)
        }
    };
    match bytes.map(std::str::from_utf8) {
        None => Ok(Value::Missing),
        Some(Ok(text)) => Ok(Value::Text(text)),
        Some(Err(_)) => Err(Rejection::new(Reason::Encoding, "Kafka key or header is not UTF-8")),
    }
}

/// The text of a string value, `Type` for any other.
#[inline]
fn string(value: Value<'_>) -> Result<Cow<'_, str>, Reason> {
    match value {
        Value::Text(text) | Value::Json(text, Capture { kind: Kind::PlainString, .. }) => Ok(Cow::Borrowed(text)),
        Value::Json(text, Capture { kind: Kind::EscapedString, .. }) => {
            unescape(text).map(Cow::Owned).ok_or(Reason::Encoding)
        }
        _ => Err(Reason::Type),
    }
}
