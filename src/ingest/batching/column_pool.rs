//! Column memory on its way back from the flush to the consumer thread.
//!
//! Columns are allocated on one thread and freed on another, which allocators answer with memory that stays
//! behind; used again, they bound the memory of the process and cost no page faults.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::ingest::batching::batch::CHUNK_ROWS;
use crate::market::TickColumns;

/// More than two full batches have chunks; what doesn't fit is freed.
const CAPACITY: usize = 1_024;

/// The consumer's end.
pub(in crate::ingest) struct SpareColumns(Receiver<TickColumns>);

/// The flush's end.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct ColumnsReturn(SyncSender<TickColumns>);

pub(in crate::ingest) fn spare_columns() -> (ColumnsReturn, SpareColumns) {
    let (sender, receiver) = sync_channel(CAPACITY);
    (ColumnsReturn(sender), SpareColumns(receiver))
}

impl SpareColumns {
    /// Empty columns, if any came back.
    pub(in crate::ingest) fn take(&self) -> Option<TickColumns> {
        self.0.try_recv().ok()
    }
}

impl ColumnsReturn {
    /// Of very few rows or, by large frames, very many, columns are freed: they would hold more than the next rows need.
    pub(in crate::ingest) fn give(&self, mut columns: TickColumns) {
        if !(CHUNK_ROWS / 2..=CHUNK_ROWS * 2).contains(&columns.len()) {
            return;
        }
        columns.clear();
        if self.0.try_send(columns).is_err() {
            tracing::trace!("no room for spare columns; they are freed");
        }
    }
}
