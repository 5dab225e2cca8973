//! A tick as a message, in the format of every preset that `ingest` reads.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;

use crate::decode::Preset;
use crate::market::Tick;

/// Appends one message. `zone` is that of formats whose times have no offset.
pub fn write_message(preset: Preset, zone: Tz, tick: &Tick<'_>, out: &mut Vec<u8>) {
    let millis = tick.ts.div_euclid(1_000);
    let (symbol, close, volume) = (Text(tick.symbol), tick.close, tick.volume.unwrap_or(0.0));
    let id = Text(tick.trade_id.unwrap_or("0"));
    let written = match preset {
        Preset::Canonical => canonical(tick, out),
        Preset::SymbolClose => {
            let time = local(tick.ts, zone, "%Y-%m-%d %H:%M:%S");
            write!(out, r#"{{"symbol":{symbol},"Date-Time":"{time}","Close":{close},"Volume":{volume}}}"#)
        }
        Preset::PriceChange => {
            let time = local(tick.ts, zone, "%Y-%m-%dT%H:%M:%S%.6f");
            let change = tick.open.filter(|open| *open > 0.0).map_or(0.0, |open| 100.0 * (close - open) / open);
            write!(
                out,
                r#"{{"symbol":{symbol},"price":{close},"volume":{volume},"timestamp":"{time}","change_percent":{change:.4}}}"#
            )
        }
        Preset::Binance => write!(
            out,
            r#"{{"e":"trade","E":{millis},"s":{symbol},"t":{},"p":"{close}","q":"{volume}","T":{millis},"m":false,"M":true}}"#,
            tick.trade_id.and_then(|id| id.parse::<i64>().ok()).unwrap_or(0)
        ),
        Preset::Coinbase => write!(
            out,
            r#"{{"type":"match","trade_id":{id},"time":"{}","product_id":{symbol},"size":"{volume}","price":"{close}","side":"sell"}}"#,
            utc(tick.ts)
        ),
        Preset::Finnhub => {
            write!(out, r#"{{"data":[{{"p":{close},"s":{symbol},"t":{millis},"v":{volume}}}],"type":"trade"}}"#)
        }
        Preset::Alpaca => write!(
            out,
            r#"[{{"T":"t","i":{id},"S":{symbol},"x":"D","p":{close},"s":{volume},"t":"{}","c":["@"],"z":"C"}}]"#,
            utc(tick.ts)
        ),
        Preset::Massive => write!(
            out,
            r#"[{{"ev":"T","sym":{symbol},"x":4,"i":{id},"z":3,"p":{close},"s":{volume},"t":{millis},"q":1}}]"#
        ),
    };
    written.expect("a vector takes all bytes");
}

/// Written by hand: the benchmark and the demo send millions of these.
fn canonical(tick: &Tick<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(br#"{"symbol":"#);
    write!(out, "{}", Text(tick.symbol))?;
    out.extend_from_slice(br#","ts":""#);
    push_utc(tick.ts, out);
    out.push(b'"');
    for (name, value) in [("open", tick.open), ("high", tick.high), ("low", tick.low)] {
        if let Some(value) = value {
            write!(out, r#","{name}":{value}"#)?;
        }
    }
    write!(out, r#","close":{}"#, tick.close)?;
    if let Some(volume) = tick.volume {
        write!(out, r#","volume":{volume}"#)?;
    }
    for (name, value) in [("trade_id", tick.trade_id), ("source", tick.source)] {
        if let Some(value) = value {
            write!(out, r#","{name}":{}"#, Text(value))?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// RFC 3339 with microseconds.
fn push_utc(ts: i64, out: &mut Vec<u8>) {
    let time = DateTime::from_timestamp_micros(ts).unwrap_or_default();
    let date = time.date_naive();
    let mut digits = |mut value: u32, width: usize, end: u8| {
        let start = out.len();
        out.resize(start + width, b'0');
        for place in (start..start + width).rev() {
            out[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        out.push(end);
    };
    digits(u32::try_from(date.year()).unwrap_or(0), 4, b'-');
    digits(date.month(), 2, b'-');
    digits(date.day(), 2, b'T');
    digits(time.hour(), 2, b':');
    digits(time.minute(), 2, b':');
    digits(time.second(), 2, b'.');
    digits(time.timestamp_subsec_micros(), 6, b'Z');
}

fn utc(ts: i64) -> String {
    DateTime::from_timestamp_micros(ts).unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn local(ts: i64, zone: Tz, form: &str) -> String {
    DateTime::from_timestamp_micros(ts).unwrap_or_default().with_timezone(&zone).format(form).to_string()
}

/// Shows itself as a JSON string.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Decoder, InputSettings, Message, Verdict};
    use crate::feeds::{SimulateSettings, Simulator};
    use crate::market::MarketZone;

    #[test]
    fn every_format_comes_back_through_the_decoder() {
        for preset in Preset::ALL {
            let zone = (!preset.is_exchange() && preset != Preset::Canonical).then(|| "Asia/Kolkata".to_owned());
            let settings = InputSettings { zone, ..InputSettings::preset(preset) };
            let mut decoder = Decoder::new(&settings, MarketZone::new(chrono_tz::UTC)).unwrap();
            let mut market = Simulator::new(SimulateSettings {
                symbols: 30,
                seed: 3,
                start: 1_795_185_000_123_456,
                step: 1_777.0,
                anomalies: 0.1,
            });
            let mut rows = decoder.columns();
            for row in 0..500 {
                let tick = market.next_tick();
                let mut payload = Vec::new();
                write_message(preset, chrono_tz::Asia::Kolkata, &tick, &mut payload);
                let message =
                    Message { payload: Some(&payload), key: None, headers: &[], offset: row, timestamp: None };
                let text = String::from_utf8_lossy(&payload).into_owned();
                assert_eq!(decoder.decode(&message, &mut rows), Verdict::Ticks(1), "{text}");
                let row = row as usize;
                assert_eq!(&*rows.symbols[rows.symbol[row] as usize], tick.symbol, "{text}");
                assert_eq!((rows.close[row], Some(rows.volume[row])), (tick.close, tick.volume), "{text}");
                let precision = match preset {
                    Preset::SymbolClose => 1_000_000,
                    Preset::Binance | Preset::Finnhub | Preset::Massive => 1_000,
                    _ => 1,
                };
                assert_eq!(rows.ts[row], tick.ts.div_euclid(precision) * precision, "{text}");
                if preset == Preset::Canonical {
                    assert_eq!(
                        (Some(rows.open[row]), Some(rows.high[row]), Some(rows.low[row])),
                        (tick.open, tick.high, tick.low)
                    );
                    assert_eq!((rows.trade_id.get(row), rows.source.get(row)), (tick.trade_id, tick.source));
                }
            }
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(Text("a\"b\\c\nd").to_string(), r#""a\"b\\c\u000ad""#);
    }
}
