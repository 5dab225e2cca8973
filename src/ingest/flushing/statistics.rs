//! Delta statistics of a file: the columns that prune.

use serde_json::json;

use crate::ingest::flushing::gather::{GatheredRows, SymbolNames};
use crate::market::rfc3339;

/// Smallest and largest values seen so far.
#[derive(Debug, Default)]
pub(in crate::ingest) struct ColumnStats {
    symbol: Option<(String, String)>,
    ts: Option<(i64, i64)>,
    close: Option<(f64, f64)>,
    offset: Option<(i64, i64)>,
}

fn widen<T: PartialOrd + Copy>(range: &mut Option<(T, T)>, value: T) {
    let (low, high) = range.get_or_insert((value, value));
    if value < *low {
        *low = value;
    }
    if value > *high {
        *high = value;
    }
}

impl ColumnStats {
    pub(in crate::ingest) fn add(&mut self, gather: &GatheredRows<'_>, names: &SymbolNames) {
        for (chunk, row) in gather.iter() {
            widen(&mut self.ts, chunk.rows.ts[row]);
            widen(&mut self.close, chunk.rows.close[row]);
            widen(&mut self.offset, chunk.rows.offset[row]);
        }
        // Rows are sorted by symbol: the ends of the slice are the extremes.
        let mut ranks = gather.ranks(names);
        if let Some(first) = ranks.next() {
            let last = ranks.last().unwrap_or(first);
            match &mut self.symbol {
                Some((_, high)) => *high = names.name(last).to_owned(),
                None => self.symbol = Some((names.name(first).to_owned(), names.name(last).to_owned())),
            }
        }
    }

    /// The `stats` of an Add action.
    pub(in crate::ingest) fn to_json(&self, rows: usize) -> String {
        let (symbol, ts, close, offset) = (self.symbol.as_ref(), self.ts, self.close, self.offset);
        let side = |high: bool| {
            json!({
                "symbol": symbol.map(|range| if high { &range.1 } else { &range.0 }),
                "ts": ts.map(|range| rfc3339(if high { range.1 } else { range.0 })),
                "close": close.map(|range| if high { range.1 } else { range.0 }),
                "kafka_offset": offset.map(|range| if high { range.1 } else { range.0 }),
            })
        };
        json!({
            "numRecords": rows,
            "minValues": side(false),
            "maxValues": side(true),
            "nullCount": { "symbol": 0, "ts": 0, "close": 0, "kafka_offset": 0 },
        })
        .to_string()
    }
}
