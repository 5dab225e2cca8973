//! Frames that hold several ticks, or none: Coinbase, Finnhub, Alpaca, Massive.
//!
//! A type that a vendor documents as no tick is a skip; one that isn't listed here is `unknown_type`.

use std::borrow::Cow;

use crate::market::TickColumns;

use super::plan::{Capture, Kind, Plan};
use super::record::{Origin, Record, RowReader, Scanned};
use super::scan::Scanner;
use super::text::unescape;
use super::verdict::{Message, Reason, Rejection, SkipKind, Verdict};

/// A plan and what its last scan found.
#[derive(Debug, Clone)]
pub(super) struct Level {
    plan: Plan,
    pub captures: Vec<Capture>,
}

impl Level {
    pub(super) fn new(plan: Plan) -> Self {
        Self { captures: plan.empty_captures(), plan }
    }

    pub(super) fn scan(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Rejection> {
        if scanner.peek() != Some(b'{') {
            return Err(Rejection::new(Reason::NotObject, "not an object"));
        }
        self.captures.fill(Capture::MISSING);
        Ok(scanner.object(&self.plan, Plan::ROOT, &mut self.captures)?)
    }

    /// Scans an object that is the whole document.
    #[inline]
    pub(super) fn scan_document(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Rejection> {
        self.scan(scanner)?;
        Ok(scanner.end()?)
    }

    fn each(
        &mut self,
        scanner: &mut Scanner<'_>,
        mut element: impl FnMut(&[Capture]) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let mut more = scanner.enter_array()?;
        while more {
            self.scan(scanner)?;
            element(&self.captures)?;
            more = scanner.next_element()?;
        }
        Ok(())
    }
}

/// One document on its way to rows.
pub(super) struct Frame<'f, 'p> {
    pub text: &'p str,
    message: &'f Message<'p>,
    reader: &'f mut RowReader,
    rows: &'f mut TickColumns,
    index: i32,
    ticks: usize,
    /// The first reason why some part is no row.
    skipped: Option<SkipKind>,
}

impl<'f, 'p> Frame<'f, 'p> {
    pub(super) fn new(
        text: &'p str,
        message: &'f Message<'p>,
        reader: &'f mut RowReader,
        rows: &'f mut TickColumns,
    ) -> Self {
        Self { text, message, reader, rows, index: 0, ticks: 0, skipped: None }
    }

    #[inline]
    pub(super) fn tick(&mut self, record: &Record, captures: &[Capture]) -> Result<(), Rejection> {
        let scanned = Scanned { text: self.text, captures, message: self.message };
        if self.reader.row(record, scanned, self.index, self.rows)? {
            self.ticks += 1;
        } else {
            self.skipped.get_or_insert(SkipKind::Filtered);
        }
        self.index += 1;
        Ok(())
    }

    pub(super) fn skip(&mut self, kind: &'static str) {
        self.skipped.get_or_insert(SkipKind::NotATick(kind));
        self.index += 1;
    }

    pub(super) fn string(&self, capture: Capture) -> Option<Cow<'p, str>> {
        let text = capture.text(self.text);
        match capture.kind {
            Kind::PlainString => Some(Cow::Borrowed(text)),
            Kind::EscapedString => unescape(text).map(Cow::Owned),
            _ => None,
        }
    }

    /// Names the element in the detail of a rejection.
    #[cold]
    fn at_index(&self, rejection: Rejection) -> Rejection {
        Rejection::new(rejection.reason, format!("element {}: {}", self.index, rejection.detail))
    }

    pub(super) fn verdict(self) -> Verdict {
        match (self.ticks, self.skipped) {
            (0, skipped) => Verdict::Skipped(skipped.unwrap_or(SkipKind::NotATick("empty"))),
            (ticks, _) => Verdict::Ticks(ticks),
        }
    }
}

pub(super) fn unknown_type() -> Rejection {
    Rejection::new(Reason::UnknownType, "a frame type that the preset doesn't know")
}

/// The record of a vendor: pairs of a field's origin and its key.
fn vendor_record(plan: &mut Plan, source: &'static str, keys: [&str; 5], extras: &[&str]) -> Record {
    let mut slot = |key: &str| if key.is_empty() { Origin::Absent } else { Origin::Slot(plan.add(key)) };
    let [symbol, ts, close, volume, trade_id] = keys;
    Record {
        symbol: slot(symbol),
        ts: slot(ts),
        close: slot(close),
        volume: slot(volume),
        trade_id: slot(trade_id),
        source: Origin::Constant(source.into()),
        extras: extras.iter().map(|path| Origin::Slot(plan.add(path))).collect(),
        ..Record::default()
    }
}

fn bar_record(plan: &mut Plan, source: &'static str, keys: [&str; 5], extras: &[&str]) -> Record {
    let record = vendor_record(plan, source, keys, extras);
    Record {
        open: Origin::Slot(plan.add("/o")),
        high: Origin::Slot(plan.add("/h")),
        low: Origin::Slot(plan.add("/l")),
        ..record
    }
}

/// `match` frames of the exchange feed, and `market_trades` of Advanced Trade.
#[derive(Debug, Clone)]
pub(super) struct Coinbase {
    root: Level,
    kind: usize,
    channel: usize,
    events: usize,
    matched: Record,
    event: Level,
    trades: usize,
    trade: Level,
    trade_record: Record,
}

impl Coinbase {
    pub(super) fn new(extras: &[&str]) -> Self {
        const KEYS: [&str; 5] = ["/product_id", "/time", "/price", "/size", "/trade_id"];
        let (mut root, mut event, mut trade) = (Plan::new(), Plan::new(), Plan::new());
        let kind = root.add("/type");
        let channel = root.add("/channel");
        let events = root.add("/events");
        let trades = event.add("/trades");
        let native = |record| Record { text_numbers: true, ..record };
        let matched = native(vendor_record(&mut root, "coinbase", KEYS, extras));
        let trade_record = native(vendor_record(&mut trade, "coinbase", KEYS, extras));
        Self {
            root: Level::new(root),
            kind,
            channel,
            events,
            matched,
            event: Level::new(event),
            trades,
            trade: Level::new(trade),
            trade_record,
        }
    }

    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        self.root.scan_document(scanner)?;
        let found = &self.root.captures;
        if let Some(channel) = frame.string(found[self.channel]) {
            return match &*channel {
                "market_trades" => self.market_trades(frame),
                other => match coinbase_channel(other) {
                    Some(name) => {
                        frame.skip(name);
                        Ok(())
                    }
                    None => Err(unknown_type()),
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
                None => Err(unknown_type()),
            },
            None => Err(unknown_type()),
        }
    }

    fn market_trades(&mut self, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        let events = array(self.root.captures[self.events], "events")?;
        let (trades, trade, record) = (self.trades, &mut self.trade, &self.trade_record);
        self.event.each(&mut Scanner::new(frame.text, events.start as usize), |event| {
            let trades = array(event[trades], "trades")?;
            let mut scanner = Scanner::new(frame.text, trades.start as usize);
            let read = trade.each(&mut scanner, |captures| frame.tick(record, captures));
            read.map_err(|rejection| frame.at_index(rejection))
        })
    }
}

fn array(capture: Capture, field: &str) -> Result<Capture, Rejection> {
    match capture.kind {
        Kind::Array => Ok(capture),
        Kind::Missing | Kind::Null => Err(Rejection::new(Reason::MissingField, format!("{field}: missing or null"))),
        _ => Err(Rejection::new(Reason::Type, format!("{field}: not an array"))),
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

pub(super) fn known(name: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}

/// `{"type":"trade","data":[..]}`.
#[derive(Debug, Clone)]
pub(super) struct Finnhub {
    root: Level,
    kind: usize,
    data: usize,
    trade: Level,
    record: Record,
}

impl Finnhub {
    pub(super) fn new(extras: &[&str]) -> Self {
        let (mut root, mut trade) = (Plan::new(), Plan::new());
        let kind = root.add("/type");
        let data = root.add("/data");
        let record = vendor_record(&mut trade, "finnhub", ["/s", "/t", "/p", "/v", ""], extras);
        Self { root: Level::new(root), kind, data, trade: Level::new(trade), record }
    }

    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        self.root.scan_document(scanner)?;
        match frame.string(self.root.captures[self.kind]).as_deref() {
            Some("trade") => {}
            Some(other) => {
                frame.skip(known(other, &["ping", "error", "news"]).ok_or_else(unknown_type)?);
                return Ok(());
            }
            None => return Err(unknown_type()),
        }
        let data = array(self.root.captures[self.data], "data")?;
        let record = &self.record;
        let read = self
            .trade
            .each(&mut Scanner::new(frame.text, data.start as usize), |captures| frame.tick(record, captures));
        read.map_err(|rejection| frame.at_index(rejection))
    }
}

enum Class {
    Trade,
    Bar,
    Skip(&'static str),
    Unknown,
}

/// Arrays of objects, each with its own type: Alpaca and Massive. A lone object counts as an array of one.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    level: Level,
    kind: usize,
    classify: fn(&str) -> Class,
    trade: Record,
    bar: Record,
}

impl Elements {
    pub(super) fn alpaca(extras: &[&str]) -> Self {
        let mut plan = Plan::new();
        let kind = plan.add("/T");
        let trade = vendor_record(&mut plan, "alpaca", ["/S", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "alpaca", ["/S", "/t", "/c", "/v", ""], extras);
        Self { level: Level::new(plan), kind, classify: alpaca_class, trade, bar }
    }

    pub(super) fn massive(extras: &[&str]) -> Self {
        let mut plan = Plan::new();
        let kind = plan.add("/ev");
        let trade = vendor_record(&mut plan, "massive", ["/sym", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "massive", ["/sym", "/s", "/c", "/v", ""], extras);
        Self { level: Level::new(plan), kind, classify: massive_class, trade, bar }
    }

    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>, frame: &mut Frame<'_, '_>) -> Result<(), Rejection> {
        let Self { level, kind, classify, trade, bar } = self;
        let element = |frame: &mut Frame<'_, '_>, captures: &[Capture]| {
            let kind = frame.string(captures[*kind]).ok_or_else(unknown_type)?;
            match classify(&kind) {
                Class::Trade => frame.tick(trade, captures)?,
                Class::Bar => frame.tick(bar, captures)?,
                Class::Skip(name) => frame.skip(name),
                Class::Unknown => return Err(unknown_type()),
            }
            Ok(())
        };
        if scanner.peek() == Some(b'{') {
            level.scan_document(scanner)?;
            return element(frame, &level.captures);
        }
        level.each(scanner, |captures| element(frame, captures)).map_err(|rejection| frame.at_index(rejection))?;
        Ok(scanner.end()?)
    }
}

fn alpaca_class(kind: &str) -> Class {
    match kind {
        "t" => Class::Trade,
        "b" | "u" => Class::Bar,
        "d" => Class::Skip("daily_bar"),
        "q" => Class::Skip("quote"),
        "o" => Class::Skip("orderbook"),
        "c" => Class::Skip("correction"),
        "x" => Class::Skip("cancel"),
        "s" => Class::Skip("status"),
        "l" => Class::Skip("luld"),
        "i" => Class::Skip("imbalance"),
        "n" => Class::Skip("news"),
        "success" => Class::Skip("success"),
        "subscription" => Class::Skip("subscription"),
        "error" => Class::Skip("error"),
        _ => Class::Unknown,
    }
}

fn massive_class(kind: &str) -> Class {
    match kind {
        "T" => Class::Trade,
        "A" | "AM" => Class::Bar,
        "Q" => Class::Skip("quote"),
        "NOI" => Class::Skip("imbalance"),
        "LULD" => Class::Skip("luld"),
        "FMV" => Class::Skip("fair_market_value"),
        "status" => Class::Skip("status"),
        _ => Class::Unknown,
    }
}
