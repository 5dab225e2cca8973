//! Array frames whose elements name their own types, as Alpaca and Massive send them.

use crate::decode::json::field_origin::FieldOrigin;
use crate::decode::json::frames::{Frame, ObjectScan, vendor_mapping};
use crate::decode::json::plan::{Capture, ScanPlan};
use crate::decode::json::row_reader::TickMapping;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::Rejection;

enum ElementClass {
    Trade,
    Bar,
    /// A trade of a currency pair, which has its own mapping because Massive uses another key for its symbol.
    PairTrade,
    PairBar,
    /// The value of an index, which has no volume.
    Value,
    Skip(&'static str),
    Unknown,
}

/// A parser for arrays of objects that name their types, as Alpaca and Massive send them. A single object is read as an
/// array of one element.
#[derive(Debug, Clone)]
pub(in crate::decode) struct TypedArrays {
    level: ObjectScan,
    kind: usize,
    kind_pointer: &'static str,
    classify: fn(&str) -> ElementClass,
    trade: TickMapping,
    bar: TickMapping,
    /// Mappings for the types that only Massive sends.
    pairs: Option<PairRecords>,
}

#[derive(Debug, Clone)]
struct PairRecords {
    trade: TickMapping,
    bar: TickMapping,
    value: TickMapping,
}

impl TypedArrays {
    pub(in crate::decode) fn alpaca(extras: &[&str]) -> Self {
        let mut plan = ScanPlan::new();
        let kind = plan.add("/T");
        let trade = vendor_mapping(&mut plan, "alpaca", ["/S", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "alpaca", ["/S", "/t", "/c", "/v", ""], extras);
        let (level, kind_pointer) = (ObjectScan::new(plan), "/T");
        Self { level, kind, kind_pointer, classify: alpaca_class, trade, bar, pairs: None }
    }

    pub(in crate::decode) fn massive(extras: &[&str]) -> Self {
        let mut plan = ScanPlan::new();
        let kind = plan.add("/ev");
        let trade = vendor_mapping(&mut plan, "massive", ["/sym", "/t", "/p", "/s", "/i"], extras);
        let bar = bar_record(&mut plan, "massive", ["/sym", "/s", "/c", "/v", ""], extras);
        let pairs = PairRecords {
            trade: vendor_mapping(&mut plan, "massive", ["/pair", "/t", "/p", "/s", "/i"], extras),
            bar: bar_record(&mut plan, "massive", ["/pair", "/s", "/c", "/v", ""], extras),
            value: vendor_mapping(&mut plan, "massive", ["/T", "/t", "/val", "", ""], extras),
        };
        let (level, kind_pointer) = (ObjectScan::new(plan), "/ev");
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
            let class = frame.string(kind).map_or(ElementClass::Unknown, |kind| classify(&kind));
            let tick_mapping = match (class, &*pairs) {
                (ElementClass::Trade, _) => trade,
                (ElementClass::Bar, _) => bar,
                (ElementClass::PairTrade, Some(pairs)) => &pairs.trade,
                (ElementClass::PairBar, Some(pairs)) => &pairs.bar,
                (ElementClass::Value, Some(pairs)) => &pairs.value,
                (ElementClass::Skip(name), _) => {
                    frame.skip(name);
                    return Ok(());
                }
                _ => return Err(frame.unknown_type(&[(kind_pointer, kind)])),
            };
            frame.tick(tick_mapping, captures)
        };
        if scanner.peek() == Some(b'{') {
            level.scan_document(scanner)?;
            return element(frame, &level.captures);
        }
        level.each(scanner, |captures| element(frame, captures)).map_err(|rejection| frame.at_index(rejection))?;
        Ok(scanner.end()?)
    }
}

fn alpaca_class(kind: &str) -> ElementClass {
    match kind {
        "t" => ElementClass::Trade,
        "b" | "u" => ElementClass::Bar,
        "d" => ElementClass::Skip("daily_bar"),
        "q" => ElementClass::Skip("quote"),
        "o" => ElementClass::Skip("orderbook"),
        "c" => ElementClass::Skip("correction"),
        "x" => ElementClass::Skip("cancel"),
        "s" => ElementClass::Skip("status"),
        "l" => ElementClass::Skip("luld"),
        "i" => ElementClass::Skip("imbalance"),
        "n" => ElementClass::Skip("news"),
        "success" => ElementClass::Skip("success"),
        "subscription" => ElementClass::Skip("subscription"),
        "error" => ElementClass::Skip("error"),
        _ => ElementClass::Unknown,
    }
}

fn massive_class(kind: &str) -> ElementClass {
    match kind {
        "T" => ElementClass::Trade,
        "A" | "AM" => ElementClass::Bar,
        "XT" => ElementClass::PairTrade,
        "XA" | "XAS" | "CA" | "CAS" => ElementClass::PairBar,
        "V" => ElementClass::Value,
        "Q" | "XQ" | "C" => ElementClass::Skip("quote"),
        "XL2" => ElementClass::Skip("orderbook"),
        "NOI" => ElementClass::Skip("imbalance"),
        "LULD" => ElementClass::Skip("luld"),
        "FMV" => ElementClass::Skip("fair_market_value"),
        "status" => ElementClass::Skip("status"),
        _ => ElementClass::Unknown,
    }
}

fn bar_record(plan: &mut ScanPlan, source: &'static str, keys: [&str; 5], extras: &[&str]) -> TickMapping {
    let tick_mapping = vendor_mapping(plan, source, keys, extras);
    TickMapping {
        open: FieldOrigin::at(plan, "/o"),
        high: FieldOrigin::at(plan, "/h"),
        low: FieldOrigin::at(plan, "/l"),
        ..tick_mapping
    }
}
