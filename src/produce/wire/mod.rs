//! A tick -> the bytes of a message, in each format that the decoder knows.
//!
//! What a format has no room for is left out: exchange frames carry close, volume and the trade's id, those of
//! Binance, Finnhub and Massive times in milliseconds.

mod error;
mod mapped;
mod text;

use chrono_tz::Tz;

use crate::decode::{InputSettings, Preset};
use crate::market::{LocalClock, Tick};
pub use error::EncodeError;
use mapped::MappedEncoder;
use text::{TimestampText, identifier, integer, number, string};

/// Decimals of a number in an exchange's text.
const EXCHANGE_PLACES: usize = 8;

/// Encodes ticks of one format; buffers are reused.
#[derive(Debug, Clone)]
pub struct MessageEncoder {
    preset: Preset,
    /// In place of a preset.
    mapped: Option<MappedEncoder>,
    /// Of formats with times that have no offset.
    local: Option<LocalClock>,
    stamp: TimestampText,
    /// Messages so far, for the formats that number them.
    sequence: u64,
}

impl MessageEncoder {
    /// # Errors
    /// The format carries local times and there is no zone.
    pub fn new(preset: Preset, zone: Option<Tz>) -> Result<Self, EncodeError> {
        let local = match preset {
            Preset::SymbolClose | Preset::PriceChange => {
                Some(LocalClock::new(zone.ok_or(EncodeError::NoZone(preset))?))
            }
            _ => None,
        };
        let separator = if preset == Preset::SymbolClose { b' ' } else { b'T' };
        Ok(Self { preset, mapped: None, local, stamp: TimestampText::new(separator), sequence: 0 })
    }

    /// Writes what `[input]` reads. `zone` is that of `input.zone` where the input has none.
    ///
    /// # Errors
    /// As [`Self::new`]; or the input reads what isn't written, such as headers.
    pub fn of_input(input: &InputSettings, zone: Option<Tz>) -> Result<Self, EncodeError> {
        let configured = input.zone.as_deref().map(str::parse::<Tz>).transpose();
        let zone = configured.map_err(|_| EncodeError::Input("input.zone is no IANA time zone".to_owned()))?.or(zone);
        match (input.preset, input.mapping()) {
            (Some(preset), _) if input.ts_format.is_none() => Self::new(preset, zone),
            (Some(preset), None) => Self::new(preset, zone),
            (_, Some(mapping)) => {
                let zone = zone.map(|zone| zone.name().to_owned());
                let mapped = MappedEncoder::new(&InputSettings { zone, ..mapping })?;
                Ok(Self { mapped: Some(mapped), ..Self::new(Preset::Canonical, None)? })
            }
            (None, None) => Self::new(Preset::Canonical, zone),
        }
    }

    /// Appends the message.
    ///
    /// # Errors
    /// A number is not finite, or the time has no four-digit year.
    pub fn encode(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let fields = [
            ("close", Some(tick.close)),
            ("open", tick.open),
            ("high", tick.high),
            ("low", tick.low),
            ("volume", tick.volume),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, value)| value.is_some_and(|value| !value.is_finite())) {
            return Err(EncodeError::NotFinite { symbol: tick.symbol.to_owned(), field });
        }
        self.sequence += 1;
        if let Some(mapped) = &mut self.mapped {
            return mapped.encode(tick, out);
        }
        match self.preset {
            Preset::Canonical => self.canonical(tick, out),
            Preset::SymbolClose => self.symbol_close(tick, out),
            Preset::PriceChange => self.price_change(tick, out),
            Preset::Binance => binance(tick, out),
            Preset::Coinbase => self.coinbase(tick, out),
            Preset::Finnhub => finnhub(tick, out),
            Preset::Alpaca => self.alpaca(tick, out),
            Preset::Massive => self.massive(tick, out),
        }
    }

    /// A time with its quotes: local where the format has local times, else UTC.
    fn time(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let beyond = || EncodeError::Time { symbol: tick.symbol.to_owned(), ts: tick.ts };
        let micros = match &mut self.local {
            Some(clock) => clock.local(tick.ts).ok_or_else(beyond)?,
            None => tick.ts,
        };
        out.push(b'"');
        if !self.stamp.write(out, micros) {
            return Err(beyond());
        }
        out.extend_from_slice(if self.local.is_some() { b"\"" } else { b"Z\"" });
        Ok(())
    }

    fn canonical(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"symbol\":");
        string(out, tick.symbol);
        out.extend_from_slice(b",\"ts\":");
        self.time(tick, out)?;
        optional(out, b",\"open\":", tick.open);
        optional(out, b",\"high\":", tick.high);
        optional(out, b",\"low\":", tick.low);
        optional(out, b",\"close\":", Some(tick.close));
        optional(out, b",\"volume\":", tick.volume);
        if let Some(trade_id) = tick.trade_id {
            out.extend_from_slice(b",\"trade_id\":");
            string(out, trade_id);
        }
        if let Some(source) = tick.source {
            out.extend_from_slice(b",\"source\":");
            string(out, source);
        }
        out.push(b'}');
        Ok(())
    }

    fn symbol_close(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"symbol\":");
        string(out, tick.symbol);
        out.extend_from_slice(b",\"Date-Time\":");
        self.time(tick, out)?;
        optional(out, b",\"Close\":", Some(tick.close));
        optional(out, b",\"Volume\":", tick.volume);
        out.push(b'}');
        Ok(())
    }

    fn price_change(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"symbol\":");
        string(out, tick.symbol);
        optional(out, b",\"price\":", Some(tick.close));
        optional(out, b",\"volume\":", tick.volume);
        out.extend_from_slice(b",\"timestamp\":");
        self.time(tick, out)?;
        let change = tick.open.filter(|open| *open > 0.0).map(|open| (tick.close / open - 1.0) * 100.0);
        let rounded = change.map(|change| (change * 100.0).round() / 100.0).filter(|change| change.is_finite());
        optional(out, b",\"change_percent\":", rounded);
        out.push(b'}');
        Ok(())
    }

    fn coinbase(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"type\":\"match\"");
        if let Some(trade_id) = tick.trade_id {
            out.extend_from_slice(b",\"trade_id\":");
            identifier(out, trade_id);
        }
        out.extend_from_slice(b",\"sequence\":");
        integer(out, self.sequence);
        out.extend_from_slice(b",\"time\":");
        self.time(tick, out)?;
        out.extend_from_slice(b",\"product_id\":");
        string(out, tick.symbol);
        quoted(out, b",\"size\":", tick.volume);
        quoted(out, b",\"price\":", Some(tick.close));
        out.extend_from_slice(b",\"side\":\"sell\"}");
        Ok(())
    }

    fn alpaca(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"[{\"T\":\"t\",\"S\":");
        string(out, tick.symbol);
        if let Some(trade_id) = tick.trade_id {
            out.extend_from_slice(b",\"i\":");
            identifier(out, trade_id);
        }
        out.extend_from_slice(b",\"x\":\"V\"");
        optional(out, b",\"p\":", Some(tick.close));
        optional(out, b",\"s\":", tick.volume);
        out.extend_from_slice(b",\"t\":");
        self.time(tick, out)?;
        out.extend_from_slice(b",\"c\":[\"@\"],\"z\":\"C\"}]");
        Ok(())
    }

    fn massive(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"[{\"ev\":\"T\",\"sym\":");
        string(out, tick.symbol);
        out.extend_from_slice(b",\"x\":4");
        if let Some(trade_id) = tick.trade_id {
            out.extend_from_slice(b",\"i\":");
            string(out, trade_id);
        }
        optional(out, b",\"p\":", Some(tick.close));
        optional(out, b",\"s\":", tick.volume);
        out.extend_from_slice(b",\"c\":[0],\"t\":");
        milliseconds(out, tick.ts);
        out.extend_from_slice(b",\"q\":");
        integer(out, self.sequence);
        out.extend_from_slice(b"}]");
        Ok(())
    }
}

fn binance(tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(b"{\"e\":\"trade\",\"E\":");
    milliseconds(out, tick.ts);
    out.extend_from_slice(b",\"s\":");
    string(out, tick.symbol);
    if let Some(trade_id) = tick.trade_id {
        out.extend_from_slice(b",\"t\":");
        identifier(out, trade_id);
    }
    quoted(out, b",\"p\":", Some(tick.close));
    quoted(out, b",\"q\":", tick.volume);
    out.extend_from_slice(b",\"T\":");
    milliseconds(out, tick.ts);
    out.extend_from_slice(b",\"m\":true,\"M\":true}");
    Ok(())
}

fn finnhub(tick: &Tick<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(b"{\"data\":[{\"c\":[\"1\"]");
    optional(out, b",\"p\":", Some(tick.close));
    out.extend_from_slice(b",\"s\":");
    string(out, tick.symbol);
    out.extend_from_slice(b",\"t\":");
    milliseconds(out, tick.ts);
    optional(out, b",\"v\":", tick.volume);
    out.extend_from_slice(b"}],\"type\":\"trade\"}");
    Ok(())
}

fn milliseconds(out: &mut Vec<u8>, micros: i64) {
    let millis = micros.div_euclid(1_000);
    if millis < 0 {
        out.push(b'-');
    }
    integer(out, millis.unsigned_abs());
}

fn optional(out: &mut Vec<u8>, name: &[u8], value: Option<f64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        number(out, value, 0);
    }
}

/// Exchanges send numbers as text.
fn quoted(out: &mut Vec<u8>, name: &[u8], value: Option<f64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        out.push(b'"');
        number(out, value, EXCHANGE_PLACES);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests;
