//! A tick -> a message of the user's own form: what `[input]` says about reading is turned round.

use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;

use super::error::EncodeError;
use super::text::{TimestampText, number, string};
use crate::decode::{FieldSource, InputSettings, TimeUnit};
use crate::market::Tick;

/// Part of a document: an object, an array if its keys are 0, 1, .., or the value of a field.
#[derive(Debug, Clone, Default)]
struct DocumentNode {
    children: Vec<(String, DocumentNode)>,
    field: Option<TickField>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TickField {
    Symbol,
    Ts,
    Open,
    High,
    Low,
    Close,
    Volume,
    TradeId,
    Source,
}

/// How event times are written.
#[derive(Debug, Clone)]
enum TimeEncoding {
    /// Micros of a unit.
    Number(i64),
    /// With an offset, or in the zone.
    Text(Option<Tz>),
    /// A pattern, in the zone.
    Pattern(Vec<Item<'static>>, Tz),
}

#[derive(Debug, Clone)]
pub(super) struct MappedEncoder {
    root: DocumentNode,
    times: TimeEncoding,
    stamp: TimestampText,
}

impl MappedEncoder {
    /// `input` is a mapping that is valid, without a preset.
    ///
    /// # Errors
    /// A field comes from what a message doesn't hold, or its form of time can't be written.
    pub(super) fn new(input: &InputSettings) -> Result<Self, EncodeError> {
        let mut root = DocumentNode::default();
        let fields = [
            (TickField::Symbol, "symbol", &input.symbol),
            (TickField::Ts, "ts", &input.ts),
            (TickField::Open, "open", &input.open),
            (TickField::High, "high", &input.high),
            (TickField::Low, "low", &input.low),
            (TickField::Close, "close", &input.close),
            (TickField::Volume, "volume", &input.volume),
            (TickField::TradeId, "trade_id", &input.trade_id),
            (TickField::Source, "source", &input.source),
        ];
        for (field, name, source) in fields {
            match source {
                Some(FieldSource::Pointer(pointer)) => root.add(pointer, field),
                // The key of every message is its symbol; a constant needs no message.
                Some(FieldSource::KafkaKey) if field == TickField::Symbol => {}
                Some(FieldSource::KafkaTimestamp) | Some(FieldSource::Constant(_)) | None => {}
                Some(_) if matches!(field, TickField::TradeId | TickField::Source) => {}
                Some(other) => return Err(EncodeError::Source { field: name, origin: other.to_string() }),
            }
        }
        let problem = |problem: String| EncodeError::Input(problem);
        let zone = input.zone.as_deref().map(str::parse::<Tz>).transpose();
        let zone = zone.map_err(|_| problem("input.zone is no IANA time zone".to_owned()))?;
        let times = match (&input.ts_format, input.time_unit.unwrap_or(TimeUnit::Rfc3339)) {
            (Some(pattern), _) => {
                let items = StrftimeItems::new(pattern).parse_to_owned();
                let items = items.map_err(|_| problem(format!("input.ts_format: '{pattern}' is no pattern")))?;
                TimeEncoding::Pattern(items, zone.unwrap_or(Tz::UTC))
            }
            (None, TimeUnit::S) => TimeEncoding::Number(1_000_000),
            (None, TimeUnit::Ms) => TimeEncoding::Number(1_000),
            (None, TimeUnit::Us) => TimeEncoding::Number(1),
            (None, TimeUnit::Ns) => TimeEncoding::Number(0),
            (None, TimeUnit::Naive) => TimeEncoding::Text(zone),
            (None, TimeUnit::Rfc3339 | TimeUnit::Auto) => TimeEncoding::Text(None),
        };
        Ok(Self { root, times, stamp: TimestampText::new(b'T') })
    }

    pub(super) fn encode(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Self { root, times, stamp } = self;
        let mut ts = Vec::new();
        write_time(times, stamp, tick, &mut ts)?;
        root.write(tick, &ts, out);
        Ok(())
    }
}

fn write_time(
    times: &TimeEncoding,
    stamp: &mut TimestampText,
    tick: &Tick<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let beyond = || EncodeError::Time { symbol: tick.symbol.to_owned(), ts: tick.ts };
    let local = |zone: &Tz| -> Result<DateTime<Tz>, EncodeError> {
        let utc = DateTime::from_timestamp_micros(tick.ts).ok_or_else(beyond)?.naive_utc();
        Ok(zone.from_utc_datetime(&utc))
    };
    match times {
        TimeEncoding::Number(0) => out.extend_from_slice(format!("{}000", tick.ts).as_bytes()),
        TimeEncoding::Number(unit) => {
            let (whole, rest) = (tick.ts.abs() / unit, tick.ts.abs() % unit);
            let sign = if tick.ts < 0 { "-" } else { "" };
            out.extend_from_slice(format!("{sign}{whole}").as_bytes());
            if rest > 0 {
                let digits = unit.ilog10() as usize;
                out.extend_from_slice(format!(".{rest:0digits$}").trim_end_matches('0').as_bytes());
            }
        }
        TimeEncoding::Text(zone) => {
            let micros = match zone {
                Some(zone) => local(zone)?.naive_local().and_utc().timestamp_micros(),
                None => tick.ts,
            };
            out.push(b'"');
            if !stamp.write(out, micros) {
                return Err(beyond());
            }
            out.extend_from_slice(if zone.is_some() { b"\"" } else { b"Z\"" });
        }
        TimeEncoding::Pattern(items, zone) => {
            let mut text = String::new();
            write!(text, "{}", local(zone)?.format_with_items(items.iter())).map_err(|_| beyond())?;
            string(out, &text);
        }
    }
    Ok(())
}

impl DocumentNode {
    fn add(&mut self, pointer: &str, field: TickField) {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let at = node.children.iter().position(|(name, _)| *name == token).unwrap_or_else(|| {
                node.children.push((token, DocumentNode::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        node.field = Some(field);
    }

    /// Its keys are the positions of an array.
    fn is_array(&self) -> bool {
        let mut positions: Vec<usize> = self.children.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        positions.sort_unstable();
        !positions.is_empty()
            && positions.len() == self.children.len()
            && positions.iter().enumerate().all(|(at, position)| at == *position)
    }

    /// An absent value is left out of an object, and null in an array.
    fn write(&self, tick: &Tick<'_>, ts: &[u8], out: &mut Vec<u8>) {
        if let Some(field) = self.field {
            return write_field(field, tick, ts, out);
        }
        let is_array = self.is_array();
        let mut children: Vec<&(String, DocumentNode)> = self.children.iter().collect();
        if is_array {
            children.sort_by_key(|(name, _)| name.parse::<usize>().unwrap_or(usize::MAX));
        }
        out.push(if is_array { b'[' } else { b'{' });
        let mut is_first = true;
        for (name, child) in children {
            if !is_array && child.field.is_some_and(|field| is_absent(field, tick)) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            if !is_array {
                string(out, name);
                out.push(b':');
            }
            child.write(tick, ts, out);
        }
        out.push(if is_array { b']' } else { b'}' });
    }
}

fn double(field: TickField, tick: &Tick<'_>) -> Option<f64> {
    match field {
        TickField::Open => tick.open,
        TickField::High => tick.high,
        TickField::Low => tick.low,
        TickField::Close => Some(tick.close),
        TickField::Volume => tick.volume,
        _ => None,
    }
}

fn text<'a>(field: TickField, tick: &Tick<'a>) -> Option<&'a str> {
    match field {
        TickField::Symbol => Some(tick.symbol),
        TickField::TradeId => tick.trade_id,
        TickField::Source => tick.source,
        _ => None,
    }
}

fn is_absent(field: TickField, tick: &Tick<'_>) -> bool {
    field != TickField::Ts && double(field, tick).is_none() && text(field, tick).is_none()
}

fn write_field(field: TickField, tick: &Tick<'_>, ts: &[u8], out: &mut Vec<u8>) {
    match (double(field, tick), text(field, tick)) {
        (Some(value), _) => number(out, value, 0),
        (None, Some(value)) => string(out, value),
        (None, None) if field == TickField::Ts => out.extend_from_slice(ts),
        (None, None) => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::MessageEncoder;
    use super::*;
    use crate::decode::{Decoder, RawMessage, Verdict};
    use crate::market::MarketZone;

    const TICK: Tick<'static> = Tick {
        symbol: "A\"B",
        ts: 1_700_000_000_123_456,
        open: Some(1.5),
        high: None,
        low: None,
        close: 2.25,
        volume: Some(1e20),
        trade_id: Some("007"),
        source: None,
    };

    fn encoded(input: &InputSettings) -> String {
        let mut out = Vec::new();
        MessageEncoder::of_input(input, None).unwrap().encode(&TICK, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn input(json: &str) -> InputSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_document_has_its_values_where_the_mapping_looks_for_them() {
        let mapping = r#"{"symbol":"/i/code","ts":"/t","close":"/q/0","volume":"/q/1","trade_id":"/a~1b","high":"/h","time_unit":"s"}"#;
        assert_eq!(
            encoded(&input(mapping)),
            r#"{"i":{"code":"A\"B"},"t":1700000000.123456,"q":[2.25,100000000000000000000],"a/b":"007"}"#
        );
    }

    #[test]
    fn every_form_of_time_reads_back() {
        for (more, exact) in [
            (r#""time_unit":"s""#, true),
            (r#""time_unit":"ms""#, true),
            (r#""time_unit":"us""#, true),
            (r#""time_unit":"ns""#, true),
            (r#""time_unit":"auto""#, true),
            (r#""time_unit":"rfc3339""#, true),
            (r#""time_unit":"naive","zone":"Asia/Kolkata""#, true),
            (r#""ts_format":"%d/%m/%Y %H:%M:%S%.6f","zone":"America/New_York""#, true),
            (r#""ts_format":"%Y-%m-%d","zone":"America/New_York""#, false),
        ] {
            let input = input(&format!(
                r#"{{"symbol":"/s","ts":"/t/at","close":"/c","open":"/o","volume":"/v","trade_id":"/i",{more}}}"#
            ));
            let payload = encoded(&input);
            let mut decoder = Decoder::new(&input, MarketZone::new(Tz::UTC)).unwrap();
            let mut rows = decoder.columns();
            let message =
                RawMessage { payload: Some(payload.as_bytes()), key: None, headers: &[], offset: 0, timestamp: None };
            assert_eq!(decoder.decode(&message, &mut rows), Verdict::Ticks(1), "{payload}");
            assert!(!exact || rows.ts[0] == TICK.ts, "{payload}");
            assert_eq!((&*rows.symbols[0], rows.close[0], rows.open[0]), ("A\"B", 2.25, 1.5), "{payload}");
            assert_eq!((rows.volume[0], rows.trade_id.get(0)), (1e20, Some("007")), "{payload}");
        }
    }

    #[test]
    fn keys_and_constants_are_no_part_of_the_document() {
        let keyed = r#"{"symbol":"kafka.key","ts":"kafka.timestamp","close":"/p","source":"constant:NYSE"}"#;
        assert_eq!(encoded(&input(keyed)), r#"{"p":2.25}"#);
        let venue = r#"{"symbol":"/s","ts":"kafka.timestamp","close":"/p","source":"header:venue"}"#;
        assert_eq!(encoded(&input(venue)), r#"{"s":"A\"B","p":2.25}"#);
        let header = input(r#"{"symbol":"header:s","ts":"/t","close":"/p"}"#);
        let error = MessageEncoder::of_input(&header, None).unwrap_err().to_string();
        assert!(error.contains("symbol") && error.contains("header:s"), "{error}");
    }
}
