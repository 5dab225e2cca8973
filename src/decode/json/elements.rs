//! Array frames whose elements carry their own type: Alpaca and Massive.

use crate::decode::json::frames::{Frame, Level, vendor_record};
use crate::decode::json::origin::Origin;
use crate::decode::json::plan::{Capture, Plan};
use crate::decode::json::record::Record;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::Rejection;

enum Class {
    Trade,
    Bar,
    /// Of a currency pair, as Massive names its symbol.
    PairTrade,
    PairBar,
    /// Of an index: a value without a volume.
    Value,
    Skip(&'static str),
    Unknown,
}

/// Arrays of objects, each with its own type: Alpaca and Massive. A lone object counts as an array of one.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Elements {
    level: Level,
    kind: usize,
    kind_pointer: &'static str,
    classify: fn(&str) -> Class,
    trade: Record,
    bar: Record,
    /// Only Massive has them.
    pairs: Option<PairRecords>,
}

#[derive(Debug, Clone)]
struct PairRecords {
    trade: Record,
    bar: Record,
    value: Record,
}

impl Elements {
    pub(in crate::decode) fn alpaca(extras: &[&str]) -> Self {
        let mut plan = Plan::new();
        let kind = plan.add("/T");
        let trade = vendor_record(&mut plan, "alpaca", ["/S", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "alpaca", ["/S", "/t", "/c", "/v", ""], extras);
        let (level, kind_pointer) = (Level::new(plan), "/T");
        Self { level, kind, kind_pointer, classify: alpaca_class, trade, bar, pairs: None }
    }

    pub(in crate::decode) fn massive(extras: &[&str]) -> Self {
        let mut plan = Plan::new();
        let kind = plan.add("/ev");
        let trade = vendor_record(&mut plan, "massive", ["/sym", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "massive", ["/sym", "/s", "/c", "/v", ""], extras);
        let pairs = PairRecords {
            trade: vendor_record(&mut plan, "massive", ["/pair", "/t", "/p", "/s", "/i"], extras),
            bar: bar_record(&mut plan, "massive", ["/pair", "/s", "/c", "/v", ""], extras),
            value: vendor_record(&mut plan, "massive", ["/T", "/t", "/val", "", ""], extras),
        };
        let (level, kind_pointer) = (Level::new(plan), "/ev");
        Self { level, kind, kind_pointer, classify: massive_class, trade, bar, pairs: Some(pairs) }
    }

    pub(in crate::decode) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        frame: &mut Frame<'_, '_>,
    ) -> Result<(), Rejection> {
        let Self { level, kind, kind_pointer, classify, trade, bar, pairs } = self;
        let element = |frame: &mut Frame<'_, '_>, captures: &[Capture]| {
            let kind = captures[*kind];
            let class = frame.string(kind).map_or(Class::Unknown, |kind| classify(&kind));
            let record = match (class, &*pairs) {
                (Class::Trade, _) => trade,
                (Class::Bar, _) => bar,
                (Class::PairTrade, Some(pairs)) => &pairs.trade,
                (Class::PairBar, Some(pairs)) => &pairs.bar,
                (Class::Value, Some(pairs)) => &pairs.value,
                (Class::Skip(name), _) => {
                    frame.skip(name);
                    return Ok(());
                }
                _ => return Err(frame.unknown_type(&[(kind_pointer, kind)])),
            };
            frame.tick(record, captures)
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
        "XT" => Class::PairTrade,
        "XA" | "XAS" | "CA" | "CAS" => Class::PairBar,
        "V" => Class::Value,
        "Q" | "XQ" | "C" => Class::Skip("quote"),
        "XL2" => Class::Skip("orderbook"),
        "NOI" => Class::Skip("imbalance"),
        "LULD" => Class::Skip("luld"),
        "FMV" => Class::Skip("fair_market_value"),
        "status" => Class::Skip("status"),
        _ => Class::Unknown,
    }
}

fn bar_record(plan: &mut Plan, source: &'static str, keys: [&str; 5], extras: &[&str]) -> Record {
    let record = vendor_record(plan, source, keys, extras);
    Record { open: Origin::at(plan, "/o"), high: Origin::at(plan, "/h"), low: Origin::at(plan, "/l"), ..record }
}
