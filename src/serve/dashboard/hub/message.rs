//! Server-sent events as bytes: `event: NAME`, `data: JSON` and an empty line.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::live::{Event, EventId, SecondBar, SymbolState, VALUE_NAMES};
use crate::serve::dashboard::api::json;

/// A comment that keeps proxies between the server and the page from closing an idle stream.
pub(super) const ALIVE: Bytes = Bytes::from_static(b": alive\n\n");
pub(super) const RESYNC: Bytes = Bytes::from_static(b"event: resync\ndata: {}\n\n");

/// Writes an event. The JSON must not contain line breaks, which would end the event.
fn event(name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = format!("event: {name}\ndata: ").into_bytes();
    write(&mut out);
    out.extend_from_slice(b"\n\n");
    out.into()
}

pub(super) fn of(name: &str, data: &impl Serialize) -> Bytes {
    event(name, |out| json::value(out, data))
}

#[derive(Serialize)]
struct Hello {
    server_time: f64,
    columns: [&'static str; VALUE_NAMES.len()],
    mode: &'static str,
}

pub(super) fn hello(now: f64, mode: &'static str) -> Bytes {
    of("hello", &Hello { server_time: now, columns: VALUE_NAMES, mode })
}

pub(super) fn tiles(states: &[&SymbolState], full: bool, now: f64) -> Bytes {
    event("tiles", |out| {
        out.extend_from_slice(b"{\"t\":");
        json::number(out, now);
        out.extend_from_slice(format!(",\"full\":{full},\"symbol\":").as_bytes());
        json::list(out, states, |out, state| json::value(out, state.symbol.as_ref()));
        out.extend_from_slice(b",\"ts\":");
        json::list(out, states, |out, state| json::millis(out, state.ts));
        out.extend_from_slice(b",\"signal\":");
        json::list(out, states, |out, state| json::value(out, state.signal));
        out.extend_from_slice(b",\"values\":");
        json::list(out, 0..VALUE_NAMES.len(), |out, at| {
            json::list(out, states, |out, state| json::number(out, state.values[at]));
        });
        out.push(b'}');
    })
}

/// Bars as JSON, separated by commas.
pub(super) fn bar_items<'a>(bars: impl IntoIterator<Item = &'a SecondBar>) -> Vec<u8> {
    let mut out = Vec::new();
    for bar in bars {
        if !out.is_empty() {
            out.push(b',');
        }
        let SecondBar { symbol, second, open, high, low, close, volume, trades } = bar;
        out.push(b'[');
        json::value(&mut out, symbol.as_ref());
        out.push(b',');
        json::value(&mut out, &(second * 1_000));
        for value in [open, high, low, close, volume] {
            out.push(b',');
            json::number(&mut out, *value);
        }
        out.push(b',');
        json::value(&mut out, trades);
        out.push(b']');
    }
    out
}

/// An event from serialized bars; `None` if there are none.
pub(super) fn bars<'a>(items: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<Bytes> {
    let items: Vec<&[u8]> = items.into_iter().filter(|items| !items.is_empty()).map(Vec::as_slice).collect();
    (!items.is_empty()).then(|| {
        event("bars", |out| {
            out.push(b'[');
            out.extend_from_slice(&items.join(&b','));
            out.push(b']');
        })
    })
}

#[derive(Serialize)]
struct EventLine<'a> {
    id: EventId<'a>,
    kind: &'static str,
    name: &'a str,
    symbol: &'a str,
    ts: f64,
    side: Option<&'static str>,
    confirmed: Option<bool>,
    severity: &'static str,
    close: f64,
    volume: f64,
    value: f64,
}

pub(super) fn events(events: &VecDeque<Arc<Event>>) -> Bytes {
    let line = |event: &'_ Arc<Event>| json_line(event);
    event("events", |out| {
        json::list(out, events, |out, event| out.extend_from_slice(&line(event)));
    })
}

fn json_line(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    let Event { kind, name, symbol, ts, side, confirmed, severity, close, volume, value, .. } = event;
    let line = EventLine {
        id: event.id(),
        kind: kind.name(),
        name,
        symbol,
        ts: *ts as f64 / 1_000.0,
        side: *side,
        confirmed: *confirmed,
        severity: severity.name(),
        close: *close,
        volume: *volume,
        value: *value,
    };
    json::value(&mut out, &line);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::live::{EventKind, Severity, TickId, VALUES};

    fn data(bytes: &Bytes, name: &str) -> Value {
        let text = std::str::from_utf8(bytes).unwrap();
        let data = text.strip_prefix(&format!("event: {name}\ndata: ")).and_then(|rest| rest.strip_suffix("\n\n"));
        let data = data.unwrap_or_else(|| panic!("{text}"));
        assert!(!data.contains('\n'));
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn tiles_are_columns() {
        let mut values = [f64::NAN; VALUES];
        values[0] = 101.5;
        let state = SymbolState { symbol: Arc::from("<b>\n\u{1f4c8}"), ts: 1_500, values, signal: "Buy" };
        let tiles = data(&tiles(&[&state, &state], true, 7.0), "tiles");
        assert_eq!(tiles["symbol"], json!(["<b>\n\u{1f4c8}", "<b>\n\u{1f4c8}"]));
        assert_eq!((&tiles["t"], &tiles["full"], &tiles["ts"]), (&json!(7.0), &json!(true), &json!([1.5, 1.5])));
        assert_eq!(tiles["values"].as_array().unwrap().len(), VALUES);
        assert_eq!((&tiles["values"][0], &tiles["values"][1]), (&json!([101.5, 101.5]), &json!([null, null])));
        let hello = data(&hello(1.0, "live"), "hello");
        assert_eq!(hello["columns"][0], "close");
    }

    #[test]
    fn events_carry_their_identity() {
        let event = Event {
            kind: EventKind::Cross,
            name: Arc::from("sma_crossover"),
            symbol: Arc::from("A"),
            ts: 2_000,
            trade_date: 1,
            side: Some("golden"),
            confirmed: Some(true),
            severity: Severity::Info,
            close: 1.5,
            volume: f64::NAN,
            value: 0.25,
            tick: TickId { epoch: 0, partition: 3, offset: 77, index: 0 },
        };
        let events = data(&events(&VecDeque::from([Arc::new(event)])), "events");
        let expected = json!([{"id": "0-3-77-0-cross", "kind": "cross", "name": "sma_crossover", "symbol": "A",
            "ts": 2.0, "side": "golden", "confirmed": true, "severity": "info", "close": 1.5, "volume": null,
            "value": 0.25}]);
        assert_eq!(events, expected);
        assert_eq!(bars([&Vec::new()]), None);
    }
}
