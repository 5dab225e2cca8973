//! Pieces of files, decoded side by side and handed out in order to the partitions that need their symbols.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, UInt64Array};
use arrow::compute::{BatchCoalescer, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, exec_err, resources_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use futures::StreamExt;
use futures::stream::BoxStream;
use hashbrown::DefaultHashBuilder;
use tokio::sync::Mutex;

use super::symbols::each_run;

/// Rows of a batch that was put together from several.
pub(super) const BATCH_ROWS: usize = 8192;
/// A batch of at least as many rows is passed on as it is.
pub(super) const LARGE_BATCH_ROWS: usize = 2048;
/// Part of the session's memory that ticks may take on their way into order.
const MOST_PART: usize = 2;

/// Slices of fewer rows cost more than picking their rows one by one.
pub(super) const SLICE_ROWS: usize = 32;

/// A decoded piece of a file.
#[derive(Debug)]
pub(super) struct DecodedPiece {
    /// The group of files that it belongs to; groups come in ascending order.
    pub group: usize,
    /// The rows of this group come in order as they are.
    pub in_order: bool,
    /// No later row is before this time.
    pub before: Option<i64>,
    pub batches: Vec<RecordBatch>,
}

/// What one partition gets of a piece.
#[derive(Debug)]
pub(super) struct PieceShare {
    pub group: usize,
    pub in_order: bool,
    pub before: Option<i64>,
    pub batches: Vec<RecordBatch>,
    /// Counted in the exchange's reservation until the share is taken.
    bytes: usize,
}

/// Splits rows by a hash of their symbol.
#[derive(Debug, Clone)]
pub(super) struct SymbolSplitter {
    pub schema: SchemaRef,
    /// Place of the symbol.
    pub symbol: usize,
    pub partitions: usize,
    hash: DefaultHashBuilder,
}

impl SymbolSplitter {
    pub(super) fn new(schema: SchemaRef, symbol: usize, partitions: usize) -> Self {
        Self { schema, symbol, partitions, hash: DefaultHashBuilder::default() }
    }

    /// The same split of batches with other columns.
    pub(super) fn over(&self, schema: SchemaRef, symbol: usize) -> Self {
        Self { schema, symbol, ..self.clone() }
    }

    pub(super) fn partition_of(&self, name: &str) -> usize {
        let mut hasher = self.hash.build_hasher();
        hasher.write(name.as_bytes());
        (hasher.finish() % self.partitions as u64) as usize
    }

    /// The batches of each partition. Their rows keep their order.
    fn split(&self, batches: &[RecordBatch]) -> Result<Vec<Vec<RecordBatch>>> {
        let new = || SliceCoalescer::new(Arc::clone(&self.schema));
        let mut outputs: Vec<SliceCoalescer> = std::iter::repeat_with(new).take(self.partitions).collect();
        for batch in batches {
            let mut spans: Vec<(usize, usize)> = Vec::new();
            each_run(batch.column(self.symbol), |name, rows| {
                let partition = self.partition_of(name);
                match spans.last_mut() {
                    Some((last, end)) if *last == partition => *end = rows.end,
                    _ => spans.push((partition, rows.end)),
                }
            })?;
            if batch.num_rows() < spans.len() * SLICE_ROWS {
                self.pick(batch, &spans, &mut outputs)?;
                continue;
            }
            let mut start = 0;
            for (partition, end) in spans {
                outputs[partition].push(batch.slice(start, end - start))?;
                start = end;
            }
        }
        outputs.into_iter().map(SliceCoalescer::finish).collect()
    }

    fn pick(&self, batch: &RecordBatch, spans: &[(usize, usize)], outputs: &mut [SliceCoalescer]) -> Result<()> {
        let mut rows: Vec<Vec<u64>> = vec![Vec::new(); self.partitions];
        let mut start = 0;
        for (partition, end) in spans {
            rows[*partition].extend(start..*end as u64);
            start = *end as u64;
        }
        for (rows, output) in rows.into_iter().zip(outputs) {
            output.push(take_record_batch(batch, &UInt64Array::from(rows))?)?;
        }
        Ok(())
    }
}

/// Puts small batches together and lets large ones pass.
pub(super) struct SliceCoalescer(BatchCoalescer);

impl SliceCoalescer {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let coalescer = BatchCoalescer::new(schema, BATCH_ROWS);
        Self(coalescer.with_biggest_coalesce_batch_size(Some(LARGE_BATCH_ROWS)))
    }

    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() > 0 {
            self.0.push_batch(batch)?;
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<RecordBatch> {
        self.0.next_completed_batch()
    }

    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>> {
        self.flush()?;
        Ok(std::iter::from_fn(|| self.next()).collect())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.0.finish_buffered_batch()?)
    }
}

/// The pieces of all files, shared by the partitions of one execution.
///
/// Whoever needs the next piece fetches it for all. A partition that runs ahead of another fills its queue, up to half
/// of the session's memory; sorts above spill to make room for that.
pub(super) struct PieceExchange {
    inner: Mutex<Inner>,
    /// Partitions that nobody reads any more.
    closed: Vec<AtomicBool>,
    /// Of what is queued, and of what a partition holds.
    most_bytes: usize,
}

struct Inner {
    pieces: BoxStream<'static, Result<SplitPiece>>,
    queues: Vec<VecDeque<PieceShare>>,
    reservation: MemoryReservation,
    failure: Option<Arc<DataFusionError>>,
}

/// A decoded piece, cut for the partitions.
pub(super) struct SplitPiece {
    group: usize,
    in_order: bool,
    before: Option<i64>,
    shares: Vec<Vec<RecordBatch>>,
}

impl DecodedPiece {
    pub(super) fn split(self, splitter: &SymbolSplitter) -> Result<SplitPiece> {
        let shares = splitter.split(&self.batches)?;
        Ok(SplitPiece { group: self.group, in_order: self.in_order, before: self.before, shares })
    }
}

impl std::fmt::Debug for PieceExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("partitions", &self.closed.len()).finish_non_exhaustive()
    }
}

impl PieceExchange {
    pub(super) fn new(
        pieces: BoxStream<'static, Result<SplitPiece>>,
        partitions: usize,
        context: &TaskContext,
    ) -> Self {
        let reservation = MemoryConsumer::new("TickOrderExec").register(context.memory_pool());
        let queues = std::iter::repeat_with(VecDeque::new).take(partitions).collect();
        let closed = std::iter::repeat_with(AtomicBool::default).take(partitions).collect();
        let most_bytes = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / MOST_PART,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        Self { inner: Mutex::new(Inner { pieces, queues, reservation, failure: None }), closed, most_bytes }
    }

    /// # Errors
    /// So many bytes are too many: the statement reads one partition far ahead of the others, or the statistics of the
    /// files promised fewer rows.
    pub(super) fn check(&self, bytes: usize) -> Result<()> {
        if bytes > self.most_bytes {
            return resources_err!(
                "ticks that wait to be put into order take {bytes} bytes, half of the memory limit is {}",
                self.most_bytes
            );
        }
        Ok(())
    }

    /// The next share of a partition; `None` at the end.
    pub(super) async fn next(&self, partition: usize) -> Result<Option<PieceShare>> {
        let mut inner = self.inner.lock().await;
        loop {
            if let Some(share) = inner.queues[partition].pop_front() {
                inner.reservation.shrink(share.bytes);
                return Ok(Some(share));
            }
            if let Some(failure) = &inner.failure {
                return Err(DataFusionError::Shared(Arc::clone(failure)));
            }
            match inner.pieces.next().await {
                None => return Ok(None),
                Some(Ok(split)) => {
                    if let Err(error) = self.hand_out(&mut inner, split) {
                        inner.failure = Some(Arc::new(error));
                    }
                }
                Some(Err(error)) => inner.failure = Some(Arc::new(error)),
            }
        }
    }

    fn hand_out(&self, inner: &mut Inner, split: SplitPiece) -> Result<()> {
        let SplitPiece { group, in_order, before, shares } = split;
        for (partition, batches) in shares.into_iter().enumerate() {
            if self.closed[partition].load(Ordering::Relaxed) {
                continue;
            }
            let bytes = batches.iter().map(sliced_bytes).sum::<Result<usize>>()?;
            inner.reservation.grow(bytes);
            self.check(inner.reservation.size())?;
            inner.queues[partition].push_back(PieceShare { group, in_order, before, batches, bytes });
        }
        Ok(())
    }

    /// The partition needs no more.
    pub(super) fn close(&self, partition: usize) {
        self.closed[partition].store(true, Ordering::Relaxed);
    }
}

/// Bytes of the rows themselves: slices of one batch share its buffers.
pub(super) fn sliced_bytes(batch: &RecordBatch) -> Result<usize> {
    let bytes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    let bytes: std::result::Result<usize, _> = bytes.sum();
    bytes.or_else(|error| exec_err!("count the bytes of a batch: {error}"))
}
