//! Finnhub: several trades in the array of one object.

use crate::decode::json::frames::{Frame, Level, array, known, vendor_record};
use crate::decode::json::plan::Plan;
use crate::decode::json::record::Record;
use crate::decode::json::scan::Scanner;
use crate::decode::verdict::Rejection;

/// `{"type":"trade","data":[..]}`.
#[derive(Debug, Clone)]
pub(in crate::decode) struct Finnhub {
    root: Level,
    kind: usize,
    data: usize,
    trade: Level,
    record: Record,
}

impl Finnhub {
    pub(in crate::decode) fn new(extras: &[&str]) -> Self {
        let (mut root, mut trade) = (Plan::new(), Plan::new());
        let kind = root.add("/type");
        let data = root.add("/data");
        let record = vendor_record(&mut trade, "finnhub", ["/s", "/t", "/p", "/v", ""], extras);
        Self { root: Level::new(root), kind, data, trade: Level::new(trade), record }
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
        let record = &self.record;
        let read = self
            .trade
            .each(&mut Scanner::new(frame.text, data.start as usize), |captures| frame.tick(record, captures));
        read.map_err(|rejection| frame.at_index(rejection))
    }
}
