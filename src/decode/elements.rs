//! Array frames whose elements carry their own type: Alpaca and Massive.

use super::frames::{Frame, Level, unknown_type, vendor_record};
use super::plan::{Capture, Plan};
use super::record::{Origin, Record};
use super::scan::Scanner;
use super::verdict::Rejection;

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

fn bar_record(plan: &mut Plan, source: &'static str, keys: [&str; 5], extras: &[&str]) -> Record {
    let record = vendor_record(plan, source, keys, extras);
    Record {
        open: Origin::Slot(plan.add("/o")),
        high: Origin::Slot(plan.add("/h")),
        low: Origin::Slot(plan.add("/l")),
        ..record
    }
}
