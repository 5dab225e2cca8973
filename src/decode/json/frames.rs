//! One document on its way to rows: what all raw frames share.
//!
//! A type that a vendor documents as no tick is a skip; one that its preset doesn't list is `unknown_type`.

use std::borrow::Cow;

use crate::market::TickColumns;

use crate::decode::json::detail::{self, Found};
use crate::decode::json::origin::{Origin, Scanned};
use crate::decode::json::plan::{Capture, Kind, Plan};
use crate::decode::json::record::{Record, RowReader};
use crate::decode::json::scan::Scanner;
use crate::decode::json::text::unescape;
use crate::decode::verdict::{Message, Reason, Rejection, SkipKind, Verdict};

/// A plan and what its last scan found.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Level {
    plan: Plan,
    pub captures: Vec<Capture>,
}

impl Level {
    pub(in crate::decode) fn new(plan: Plan) -> Self {
        Self { captures: plan.empty_captures(), plan }
    }

    pub(in crate::decode) fn scan(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Rejection> {
        if scanner.peek() != Some(b'{') {
            return Err(Rejection::new(Reason::NotObject, "not an object"));
        }
        self.captures.fill(Capture::MISSING);
        Ok(scanner.object(&self.plan, Plan::ROOT, &mut self.captures)?)
    }

    /// Scans an object that is the whole document.
    #[inline]
    pub(in crate::decode) fn scan_document(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Rejection> {
        self.scan(scanner)?;
        Ok(scanner.end()?)
    }

    pub(in crate::decode) fn each(
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
pub(in crate::decode) struct Frame<'f, 'p> {
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
    pub(in crate::decode) fn new(
        text: &'p str,
        message: &'f Message<'p>,
        reader: &'f mut RowReader,
        rows: &'f mut TickColumns,
    ) -> Self {
        Self { text, message, reader, rows, index: 0, ticks: 0, skipped: None }
    }

    #[inline]
    pub(in crate::decode) fn tick(&mut self, record: &Record, captures: &[Capture]) -> Result<(), Rejection> {
        let scanned = Scanned { text: self.text, captures, message: self.message };
        if self.reader.row(record, scanned, self.index, self.rows)? {
            self.ticks += 1;
        } else {
            self.skipped.get_or_insert(SkipKind::Filtered);
        }
        self.index += 1;
        Ok(())
    }

    pub(in crate::decode) fn skip(&mut self, kind: &'static str) {
        self.skipped.get_or_insert(SkipKind::NotATick(kind));
        self.index += 1;
    }

    pub(in crate::decode) fn string(&self, capture: Capture) -> Option<Cow<'p, str>> {
        let text = capture.text(self.text);
        match capture.kind {
            Kind::PlainString => Some(Cow::Borrowed(text)),
            Kind::EscapedString => unescape(text).map(Cow::Owned),
            _ => None,
        }
    }

    /// The type of the frame is in one of these.
    #[cold]
    pub(in crate::decode) fn unknown_type(&self, kinds: &[(&str, Capture)]) -> Rejection {
        detail::unknown_type(self.text, kinds)
    }

    /// Names the element in the detail of a rejection.
    #[cold]
    pub(in crate::decode) fn at_index(&self, rejection: Rejection) -> Rejection {
        let prefix = format!("element {}: ", self.index);
        let value_at = rejection.value_at.map(|at| at + prefix.len());
        Rejection { detail: (prefix + &*rejection.detail).into(), value_at, ..rejection }
    }

    pub(in crate::decode) fn verdict(self) -> Verdict {
        match (self.ticks, self.skipped) {
            (0, skipped) => Verdict::Skipped(skipped.unwrap_or(SkipKind::NotATick("empty"))),
            (ticks, _) => Verdict::Ticks(ticks),
        }
    }
}

pub(in crate::decode) fn array(text: &str, capture: Capture, field: &str) -> Result<Capture, Rejection> {
    let (reason, problem) = match capture.kind {
        Kind::Array => return Ok(capture),
        Kind::Missing | Kind::Null => (Reason::MissingField, "missing or null"),
        _ => (Reason::Type, "not an array"),
    };
    Err(Found::of(text, capture).end(reason, format!("{field}: {problem}; /{field} is ")))
}

pub(in crate::decode) fn known(name: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}

/// The record of a vendor: pairs of a field's origin and its key.
pub(in crate::decode) fn vendor_record(
    plan: &mut Plan,
    source: &'static str,
    keys: [&str; 5],
    extras: &[&str],
) -> Record {
    let mut slot = |key: &str| if key.is_empty() { Origin::Absent } else { Origin::at(plan, key) };
    let [symbol, ts, close, volume, trade_id] = keys;
    Record {
        symbol: slot(symbol),
        ts: slot(ts),
        close: slot(close),
        volume: slot(volume),
        trade_id: slot(trade_id),
        source: Origin::Constant(source.into()),
        extras: extras.iter().map(|path| Origin::at(plan, path)).collect(),
        ..Record::default()
    }
}
