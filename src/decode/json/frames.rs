//! Decodes one document into rows: the code shared by all raw frames.
//!
//! Frames are skipped if the vendor documents their type as something other than a tick. A type that the preset doesn't
//! know is rejected as `unknown_type`.

use std::borrow::Cow;

use crate::market::TickColumns;

use crate::decode::json::detail::{self, FoundValue};
use crate::decode::json::field_origin::{FieldOrigin, ScannedDocument};
use crate::decode::json::plan::{Capture, CaptureKind, ScanPlan};
use crate::decode::json::row_reader::{RowReader, TickMapping};
use crate::decode::json::scan::Scanner;
use crate::decode::json::text::unescape;
use crate::decode::verdict::{RawMessage, Rejection, RejectionReason, SkipKind, Verdict};

/// A plan, and the captures of the most recent scan.
#[derive(Debug, Clone)]
pub(in crate::decode) struct ObjectScan {
    plan: ScanPlan,
    pub captures: Vec<Capture>,
}

impl ObjectScan {
    pub(in crate::decode) fn new(plan: ScanPlan) -> Self {
        Self { captures: plan.empty_captures(), plan }
    }

    pub(in crate::decode) fn scan(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Rejection> {
        if scanner.peek() != Some(b'{') {
            return Err(Rejection::new(RejectionReason::NotObject, "not an object"));
        }
        self.captures.fill(Capture::MISSING);
        Ok(scanner.object(&self.plan, ScanPlan::ROOT, &mut self.captures)?)
    }

    /// Scans an object that makes up the entire document.
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

/// The state while one document is decoded.
pub(in crate::decode) struct Frame<'f, 'p> {
    pub text: &'p str,
    message: &'f RawMessage<'p>,
    reader: &'f mut RowReader,
    rows: &'f mut TickColumns,
    index: i32,
    ticks: usize,
    /// The first reason why a part of the document was skipped.
    skipped: Option<SkipKind>,
}

impl<'f, 'p> Frame<'f, 'p> {
    pub(in crate::decode) fn new(
        text: &'p str,
        message: &'f RawMessage<'p>,
        reader: &'f mut RowReader,
        rows: &'f mut TickColumns,
    ) -> Self {
        Self { text, message, reader, rows, index: 0, ticks: 0, skipped: None }
    }

    #[inline]
    pub(in crate::decode) fn tick(
        &mut self,
        tick_mapping: &TickMapping,
        captures: &[Capture],
    ) -> Result<(), Rejection> {
        let scanned = ScannedDocument { text: self.text, captures, message: self.message };
        if self.reader.row(tick_mapping, scanned, self.index, self.rows)? {
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
            CaptureKind::PlainString => Some(Cow::Borrowed(text)),
            CaptureKind::EscapedString => unescape(text).map(Cow::Owned),
            _ => None,
        }
    }

    /// The rejection of a frame with an unknown type, which is in one of these captures.
    #[cold]
    pub(in crate::decode) fn unknown_type(&self, kinds: &[(&str, Capture)]) -> Rejection {
        detail::unknown_type(self.text, kinds)
    }

    /// Adds the index of the element to the detail of a rejection.
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
        CaptureKind::Array => return Ok(capture),
        CaptureKind::Missing | CaptureKind::Null => (RejectionReason::MissingField, "missing or null"),
        _ => (RejectionReason::Type, "not an array"),
    };
    Err(FoundValue::of(text, capture).end(reason, format!("{field}: {problem}; /{field} is ")))
}

pub(in crate::decode) fn known(name: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().find(|known| **known == name).copied()
}

/// Builds the mapping of a vendor's ticks from the keys of its fields.
pub(in crate::decode) fn vendor_mapping(
    plan: &mut ScanPlan,
    source: &'static str,
    keys: [&str; 5],
    extras: &[&str],
) -> TickMapping {
    let mut slot = |key: &str| if key.is_empty() { FieldOrigin::Absent } else { FieldOrigin::at(plan, key) };
    let [symbol, ts, close, volume, trade_id] = keys;
    TickMapping {
        symbol: slot(symbol),
        ts: slot(ts),
        close: slot(close),
        volume: slot(volume),
        trade_id: slot(trade_id),
        source: FieldOrigin::Constant(source.into()),
        extras: extras.iter().map(|path| FieldOrigin::at(plan, path)).collect(),
        ..TickMapping::default()
    }
}
