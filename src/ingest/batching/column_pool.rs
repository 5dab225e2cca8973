//! A pool of columns: the flush returns them to the consumer thread, which reuses them.
//!
//! Columns that are allocated on one thread and freed on another fragment the memory of most allocators. Reuse bounds
//! the memory of the process and avoids page faults.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::ingest::batching::batch::CHUNK_ROWS;
use crate::market::TickColumns;

/// More columns than two full batches have; columns that don't fit are freed.
const CAPACITY: usize = 1_024;

/// The consumer thread's end of the pool.
pub(in crate::ingest) struct ColumnPool(Receiver<TickColumns>);

/// The flush's end of the pool.
#[derive(Debug, Clone)]
pub(in crate::ingest) struct ColumnRecycler(SyncSender<TickColumns>);

pub(in crate::ingest) fn column_pool() -> (ColumnRecycler, ColumnPool) {
    let (sender, receiver) = sync_channel(CAPACITY);
    (ColumnRecycler(sender), ColumnPool(receiver))
}

impl ColumnPool {
    /// Takes empty columns from the pool, if it has any.
    pub(in crate::ingest) fn take(&self) -> Option<TickColumns> {
        self.0.try_recv().ok()
    }
}

impl ColumnRecycler {
    /// Returns columns to the pool. Columns with very few rows or, because of large frames, very many are freed: their
    /// capacity wouldn't fit the next rows.
    pub(in crate::ingest) fn recycle(&self, mut columns: TickColumns) {
        if !(CHUNK_ROWS / 2..=CHUNK_ROWS * 2).contains(&columns.len()) {
            return;
        }
        columns.clear();
        if self.0.try_send(columns).is_err() {
            tracing::trace!("the column pool is full; the columns are freed");
        }
    }
}
