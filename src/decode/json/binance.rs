//! Binance frames of spot, USD-M and COIN-M futures, raw or in the wrapper of combined streams.

use crate::decode::json::field_origin::FieldOrigin;
use crate::decode::json::frames::{Frame, ObjectScan, known};
use crate::decode::json::plan::{Capture, CaptureKind, ScanPlan};
use crate::decode::json::row_reader::TickMapping;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::{Rejection, RejectionReason};

/// Event types and stream names without trades.
const NON_TRADE_TYPES: &[&str] = &[
    "bookTicker",
    "depthUpdate",
    "depth",
    "kline",
    "continuous_kline",
    "continuousKline",
    "indexPrice_kline",
    "indexPriceKline",
    "markPrice_kline",
    "markPriceKline",
    "24hrTicker",
    "24hrMiniTicker",
    "ticker",
    "miniTicker",
    "1hTicker",
    "4hTicker",
    "1dTicker",
    "avgPrice",
    "markPriceUpdate",
    "markPrice",
    "indexPriceUpdate",
    "indexPrice",
    "forceOrder",
    "compositeIndex",
    "contractInfo",
    "assetIndexUpdate",
    "assetIndex",
    "serverShutdown",
    "tradingSession",
];

/// The fields of a frame, which are at the root or below `/data`.
#[derive(Debug, Clone)]
struct FrameFields {
    event: usize,
    event_pointer: Box<str>,
    trade: TickMapping,
    aggregate: TickMapping,
    bid: usize,
    ask: usize,
    bids: usize,
    asks: usize,
}

impl FrameFields {
    fn new(plan: &mut ScanPlan, prefix: &str, extras: &[&str]) -> Self {
        let pointer = |key: &str| format!("{prefix}{key}");
        let event = plan.add(&pointer("/e"));
        // This key is ignored. It is part of the plan, at its position in the frame, so that frames have no unmapped
        // keys, which would have to be tracked.
        plan.add(&pointer("/E"));
        let mut origin = |key: &str| FieldOrigin::at(plan, &pointer(key));
        let (symbol, trade_id, close) = (origin("/s"), origin("/t"), origin("/p"));
        let (volume, ts) = (origin("/q"), origin("/T"));
        let mut slot = |key: &str| plan.add(&pointer(key));
        let mut tick_mapping = TickMapping {
            symbol,
            trade_id,
            close,
            volume,
            ts,
            source: FieldOrigin::Constant("binance".into()),
            text_numbers: true,
            extras: Vec::new(),
            ..TickMapping::default()
        };
        ["/m", "/M", "/X", "/u", "/U", "/pu", "/ps", "/B", "/A", "/f", "/l"].into_iter().for_each(|key| {
            slot(key);
        });
        let (bid, ask, bids, asks) = (slot("/b"), slot("/a"), slot("/bids"), slot("/asks"));
        let mut origin = |key: &str| FieldOrigin::at(plan, &pointer(key));
        tick_mapping.extras = extras.iter().map(|path| origin(path)).collect();
        let aggregate = TickMapping { trade_id: origin("/a"), ..tick_mapping.clone() };
        Self { event, event_pointer: pointer("/e").into(), trade: tick_mapping, aggregate, bid, ask, bids, asks }
    }

    /// The kind of a frame without an event type: best quotes and partial order books of the spot market.
    fn untyped(&self, found: &[Capture]) -> Option<&'static str> {
        let present = |slot: usize| found[slot].kind != CaptureKind::Missing;
        if present(self.bid) && present(self.ask) {
            Some("bookTicker")
        } else if present(self.bids) && present(self.asks) {
            Some("depth")
        } else {
            None
        }
    }
}

#[derive(Debug, Clone)]
pub(in crate::decode) struct Binance {
    level: ObjectScan,
    stream: usize,
    data: usize,
    result: usize,
    error: usize,
    code: usize,
    raw: FrameFields,
    wrapped: FrameFields,
}

impl Binance {
    pub(in crate::decode) fn new(extras: &[&str]) -> Self {
        let mut plan = ScanPlan::new();
        let stream = plan.add("/stream");
        let data = plan.add("/data");
        let wrapped = FrameFields::new(&mut plan, "/data", extras);
        let raw = FrameFields::new(&mut plan, "", extras);
        let (result, error, code) = (plan.add("/result"), plan.add("/error"), plan.add("/code"));
        Self { level: ObjectScan::new(plan), stream, data, result, error, code, raw, wrapped }
    }

    pub(in crate::decode) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        frame: &mut Frame<'_, '_>,
    ) -> Result<(), Rejection> {
        if scanner.peek() == Some(b'[') {
            return self.read_array(scanner, frame);
        }
        self.level.scan_document(scanner)?;
        let found = &self.level.captures;
        let present = |slot: usize| found[slot].kind != CaptureKind::Missing;
        let stream = frame.string(found[self.stream]);
        let fields = if stream.is_some() && present(self.data) { &self.wrapped } else { &self.raw };
        let event = frame.string(found[fields.event]);
        let kind = match (&event, &stream) {
            (Some(event), _) => &**event,
            (None, Some(stream)) => stream_kind(stream),
            (None, None) => "",
        };
        match kind {
            "trade" => return frame.tick(&fields.trade, found),
            "aggTrade" => return frame.tick(&fields.aggregate, found),
            _ => {}
        }
        let skip = match kind {
            "" if present(self.result) => Some("response"),
            "" if present(self.error) || present(self.code) => Some("error"),
            "" => fields.untyped(found),
            _ => known(kind, NON_TRADE_TYPES).or_else(|| interval_stream(kind)),
        };
        let unknown =
            || frame.unknown_type(&[(&fields.event_pointer, found[fields.event]), ("/stream", found[self.stream])]);
        frame.skip(skip.ok_or_else(unknown)?);
        Ok(())
    }

    /// Reads an array. Streams for all symbols, such as `!miniTicker@arr`, send arrays, which contain no trades.
    fn read_array(&mut self, scanner: &mut Scanner<'_>, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        let event = self.raw.event;
        let element = |frame: &mut Frame<'_, '_>, found: &[Capture]| {
            let kind = frame.string(found[event]).unwrap_or_default();
            match known(&kind, NON_TRADE_TYPES) {
                Some(name) => frame.skip(name),
                None if matches!(&*kind, "trade" | "aggTrade") => {
                    return Err(Rejection::new(
                        RejectionReason::NotObject,
                        "a trade in an array; Binance sends one a frame",
                    ));
                }
                None => return Err(frame.unknown_type(&[("/e", found[event])])),
            }
            Ok(())
        };
        let read = self.level.each(scanner, |found| element(frame, found));
        read.map_err(|rejection| frame.at_index(rejection))?;
        Ok(scanner.end()?)
    }
}

/// Extracts the kind of a stream: `btcusdt@depth@100ms` -> `depth`, `!miniTicker@arr` -> `miniTicker`.
fn stream_kind(stream: &str) -> &str {
    let mut parts = stream.split('@');
    match stream.strip_prefix('!') {
        Some(all_symbols) => all_symbols.split('@').next().unwrap_or(""),
        None => parts.nth(1).unwrap_or(""),
    }
}

/// The kind of a stream whose name ends in a number of levels, an interval or a window: `depth20`, `kline_1m`,
/// `ticker_1h`.
fn interval_stream(kind: &str) -> Option<&'static str> {
    if let Some(levels) = kind.strip_prefix("depth") {
        return levels.bytes().all(|byte| byte.is_ascii_digit()).then_some("depth");
    }
    let (name, _) = kind.rsplit_once('_')?;
    known(name, NON_TRADE_TYPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names_give_the_kind() {
        for (stream, kind) in [
            ("btcusdt@bookTicker", "bookTicker"),
            ("btcusdt@depth@100ms", "depth"),
            ("!miniTicker@arr", "miniTicker"),
            ("!bookTicker", "bookTicker"),
            ("odd", ""),
        ] {
            assert_eq!(stream_kind(stream), kind);
        }
        assert_eq!(interval_stream("depth20"), Some("depth"));
        assert_eq!(interval_stream("kline_1m"), Some("kline"));
        assert_eq!(interval_stream("ticker_1h"), Some("ticker"));
        assert_eq!(interval_stream("depthy"), None);
        assert_eq!(interval_stream("trade_1h"), None);
    }
}
