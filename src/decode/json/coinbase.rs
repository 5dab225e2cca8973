//! Frames of Coinbase: the exchange feed and Advanced Trade.

use crate::decode::json::frames::{Frame, ObjectScan, array, known, vendor_mapping};
use crate::decode::json::plan::ScanPlan;
use crate::decode::json::row_reader::TickMapping;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::Rejection;

/// Parser for `match` frames of the exchange feed, and for `market_trades` of Advanced Trade.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Coinbase {
    root: ObjectScan,
    kind: usize,
    channel: usize,
    events: usize,
    matched: TickMapping,
    event: ObjectScan,
    trades: usize,
    trade: ObjectScan,
    trade_mapping: TickMapping,
}

impl Coinbase {
    pub(in crate::decode) fn new(extras: &[&str]) -> Self {
        const KEYS: [&str; 5] = ["/product_id", "/time", "/price", "/size", "/trade_id"];
        let (mut root, mut event, mut trade) = (ScanPlan::new(), ScanPlan::new(), ScanPlan::new());
        let kind = root.add("/type");
        let channel = root.add("/channel");
        let events = root.add("/events");
        let trades = event.add("/trades");
        let native = |tick_mapping| TickMapping { text_numbers: true, ..tick_mapping };
        let matched = native(vendor_mapping(&mut root, "coinbase", KEYS, extras));
        let trade_mapping = native(vendor_mapping(&mut trade, "coinbase", KEYS, extras));
        Self {
            root: ObjectScan::new(root),
            kind,
            channel,
            events,
            matched,
            event: ObjectScan::new(event),
            trades,
            trade: ObjectScan::new(trade),
            trade_mapping,
        }
    }

    pub(in crate::decode) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        frame: &mut Frame<'_, '_>,
    ) -> Result<(), Rejection> {
        self.root.scan_document(scanner)?;
        let found = &self.root.captures;
        let unknown = |frame: &Frame<'_, '_>| {
            frame.unknown_type(&[("/channel", found[self.channel]), ("/type", found[self.kind])])
        };
        if let Some(channel) = frame.string(found[self.channel]) {
            return match &*channel {
                "market_trades" => self.market_trades(frame),
                other => match coinbase_channel(other) {
                    Some(name) => {
                        frame.skip(name);
                        Ok(())
                    }
                    None => Err(unknown(frame)),
                },
            };
        }
        match frame.string(found[self.kind]).as_deref() {
            Some("match" | "last_match") => frame.tick(&self.matched, found),
            Some(other) => match coinbase_type(other) {
                Some(name) => {
                    frame.skip(name);
                    Ok(())
                }
                None => Err(unknown(frame)),
            },
            None => Err(unknown(frame)),
        }
    }

    fn market_trades(&mut self, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        let events = array(frame.text, self.root.captures[self.events], "events")?;
        let (trades, trade, tick_mapping) = (self.trades, &mut self.trade, &self.trade_mapping);
        self.event.each(&mut Scanner::new(frame.text, events.start as usize), |event| {
            let trades = array(frame.text, event[trades], "trades")?;
            let mut scanner = Scanner::new(frame.text, trades.start as usize);
            let read = trade.each(&mut scanner, |captures| frame.tick(tick_mapping, captures));
            read.map_err(|rejection| frame.at_index(rejection))
        })
    }
}

fn coinbase_channel(channel: &str) -> Option<&'static str> {
    known(
        channel,
        &[
            "subscriptions",
            "heartbeats",
            "ticker",
            "ticker_batch",
            "l2_data",
            "candles",
            "status",
            "user",
            "futures_balance_summary",
        ],
    )
}

fn coinbase_type(kind: &str) -> Option<&'static str> {
    known(
        kind,
        &[
            "subscriptions",
            "heartbeat",
            "ticker",
            "snapshot",
            "l2update",
            "received",
            "open",
            "done",
            "change",
            "activate",
            "status",
            "auction",
            "rfq_match",
            "error",
        ],
    )
}
