//! Finnhub frames: one object with an array of trades.

use crate::decode::json::frames::{Frame, ObjectScan, array, known, vendor_mapping};
use crate::decode::json::plan::ScanPlan;
use crate::decode::json::row_reader::TickMapping;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::Rejection;

/// Parser for `{"type":"trade","data":[..]}`.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Finnhub {
    root: ObjectScan,
    kind: usize,
    data: usize,
    trade: ObjectScan,
    tick_mapping: TickMapping,
}

impl Finnhub {
    pub(in crate::decode) fn new(extras: &[&str]) -> Self {
        let (mut root, mut trade) = (ScanPlan::new(), ScanPlan::new());
        let kind = root.add("/type");
        let data = root.add("/data");
        let tick_mapping = vendor_mapping(&mut trade, "finnhub", ["/s", "/t", "/p", "/v", ""], extras);
        Self { root: ObjectScan::new(root), kind, data, trade: ObjectScan::new(trade), tick_mapping }
    }

    pub(in crate::decode) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        frame: &mut Frame<'_, '_>,
    ) -> Result<(), Rejection> {
        self.root.scan_document(scanner)?;
        let kind = self.root.captures[self.kind];
        match frame.string(kind).as_deref() {
            Some("trade") => {}
            other => {
                let skip = other.and_then(|other| known(other, &["ping", "error", "news"]));
                frame.skip(skip.ok_or_else(|| frame.unknown_type(&[("/type", kind)]))?);
                return Ok(());
            }
        }
        let data = array(frame.text, self.root.captures[self.data], "data")?;
        let tick_mapping = &self.tick_mapping;
        let read = self
            .trade
            .each(&mut Scanner::new(frame.text, data.start as usize), |captures| frame.tick(tick_mapping, captures));
        read.map_err(|rejection| frame.at_index(rejection))
    }
}
