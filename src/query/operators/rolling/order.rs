//! The operator that brings ticks into order: each symbol in one partition, its rows by time.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::exchange::{DecodedPiece, PieceExchange, PieceShare, SplitPiece, SymbolSplitter};
use super::footer::{SortedByFooter, says_sorted};
use super::merge::{OrderCheck, OrderKeys, SymbolMerge};

/// Pieces that are decoded ahead, for each partition.
const PIECES_AHEAD: usize = 2;
/// Rows of a partition that are held before some of them are put into order: each time costs a visit to all symbols.
const ROWS_TO_MERGE: usize = if cfg!(test) { 64 } else { 64 * 1024 };

/// A partition of the input: all of a file, or some of its row groups.
#[derive(Debug, Clone)]
pub(super) struct FilePiece {
    pub file: PartitionedFile,
    /// Files that overlap in time have the same; ascending.
    pub group: usize,
    /// The file is the only one of its group.
    pub alone: bool,
    /// No tick of a later piece is before this time, if the piece is the last of its file.
    pub before: Option<i64>,
}

#[derive(Debug)]
pub(super) struct TickOrderExec {
    /// Each partition is a piece.
    input: Arc<dyn ExecutionPlan>,
    pieces: Arc<[FilePiece]>,
    reader: Arc<dyn ParquetFileReaderFactory>,
    splitter: SymbolSplitter,
    keys: OrderKeys,
    exchange: OnceLock<Arc<PieceExchange>>,
    properties: Arc<PlanProperties>,
}

impl TickOrderExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        pieces: Arc<[FilePiece]>,
        reader: Arc<dyn ParquetFileReaderFactory>,
        splitter: SymbolSplitter,
        keys: OrderKeys,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(splitter.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, pieces, reader, splitter, keys, exchange: OnceLock::new(), properties: Arc::new(properties) }
    }

    /// Reads these columns and the times alone, and returns which these are; `None` where all are read or needed to
    /// bring ticks into order.
    pub(super) fn narrowed(&self, mut columns: BTreeSet<usize>) -> Result<Option<(Self, Vec<usize>)>> {
        columns.insert(self.keys.columns[0]);
        let schema = self.input.schema();
        let in_order = self
            .pieces
            .iter()
            .all(|piece| piece.alone && piece.file.extension::<SortedByFooter>().is_some_and(|says| says.0));
        if !in_order || columns.len() == schema.fields().len() {
            return Ok(None);
        }
        let column = |at: &usize| {
            let name = schema.field(*at).name();
            ProjectionExpr::new(Arc::new(Column::new(name, *at)), name.clone())
        };
        let exprs: Vec<_> = columns.iter().map(column).collect();
        let projection = ProjectionExec::try_new(exprs, Arc::clone(&self.input))?;
        let Some(input) = self.input.try_swapping_with_projection(&projection)? else { return Ok(None) };
        let kept: Vec<usize> = columns.into_iter().collect();
        let place = |at: &usize| kept.binary_search(at).ok();
        let keys = OrderKeys { columns: self.keys.columns.iter().map_while(place).collect() };
        let symbol = place(&self.splitter.symbol).ok_or_else(|| exec_datafusion_err!("the symbol was left out"))?;
        let splitter = SymbolSplitter::new(input.schema(), symbol, self.splitter.partitions);
        Ok(Some((Self::new(input, Arc::clone(&self.pieces), Arc::clone(&self.reader), splitter, keys), kept)))
    }

    pub(super) fn splitter(&self) -> &SymbolSplitter {
        &self.splitter
    }

    fn renewed(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        let (pieces, reader) = (Arc::clone(&self.pieces), Arc::clone(&self.reader));
        Self::new(input, pieces, reader, self.splitter.clone(), self.keys.clone())
    }

    fn start(&self, context: &Arc<TaskContext>) -> Arc<PieceExchange> {
        let job = DecodeJob {
            input: Arc::clone(&self.input),
            pieces: Arc::clone(&self.pieces),
            reader: Arc::clone(&self.reader),
            splitter: self.splitter.clone(),
            context: Arc::clone(context),
        };
        let partitions = self.splitter.partitions;
        let pieces = stream::iter(0..self.pieces.len()).map(move |at| {
            let task = SpawnedTask::spawn(job.clone().decode(at));
            async move { task.join_unwind().await.map_err(|error| exec_datafusion_err!("decode a file: {error}"))? }
        });
        Arc::new(PieceExchange::new(pieces.buffered(PIECES_AHEAD * partitions).boxed(), partitions, context))
    }
}

/// What it takes to decode a piece.
#[derive(Clone)]
struct DecodeJob {
    input: Arc<dyn ExecutionPlan>,
    pieces: Arc<[FilePiece]>,
    reader: Arc<dyn ParquetFileReaderFactory>,
    splitter: SymbolSplitter,
    context: Arc<TaskContext>,
}

impl DecodeJob {
    async fn decode(self, at: usize) -> Result<SplitPiece> {
        let piece = &self.pieces[at];
        let in_order = piece.alone && says_sorted(self.reader.as_ref(), &piece.file).await?.0;
        let batches: Vec<RecordBatch> = self.input.execute(at, Arc::clone(&self.context))?.try_collect().await?;
        DecodedPiece { group: piece.group, in_order, before: piece.before, batches }.split(&self.splitter)
    }
}

impl DisplayAs for TickOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.pieces.last().map_or(0, |piece| piece.group + 1);
        write!(
            f,
            "TickOrderExec: pieces={}, groups={groups}, partitions={}",
            self.pieces.len(),
            self.splitter.partitions
        )
    }
}

impl ExecutionPlan for TickOrderExec {
    fn name(&self) -> &'static str {
        "TickOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.renewed(children.swap_remove(0))))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.renewed(Arc::clone(&self.input))))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exchange = Arc::clone(self.exchange.get_or_init(|| self.start(&context)));
        let reader = OrderedReader {
            exchange,
            partition,
            splitter: self.splitter.clone(),
            keys: self.keys.clone(),
            ready: VecDeque::new(),
            merge: SymbolMerge::new(self.input.schema(), self.splitter.symbol, self.keys.clone()),
            held_group: None,
            later: None,
            check: (0, OrderCheck::default()),
            reservation: MemoryConsumer::new("TickOrderExec").register(context.memory_pool()),
            at_end: false,
        };
        let batches = stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next().await?;
            Ok(batch.map(|batch| (batch, reader)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), batches)))
    }
}

/// One partition of the output.
struct OrderedReader {
    exchange: Arc<PieceExchange>,
    partition: usize,
    splitter: SymbolSplitter,
    keys: OrderKeys,
    ready: VecDeque<RecordBatch>,
    merge: SymbolMerge,
    /// The group whose rows are merged.
    held_group: Option<usize>,
    /// The first share of the group after that one.
    later: Option<PieceShare>,
    check: (usize, OrderCheck),
    reservation: MemoryReservation,
    at_end: bool,
}

impl Drop for OrderedReader {
    fn drop(&mut self) {
        self.exchange.close(self.partition);
    }
}

impl OrderedReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let merged = self.merge.next()?;
            self.reservation.resize(self.merge.bytes());
            if merged.is_some() {
                return Ok(merged);
            }
            if self.at_end {
                return Ok(None);
            }
            let share = match self.later.take() {
                Some(share) => Some(share),
                None => self.exchange.next(self.partition).await?,
            };
            self.take(share)?;
        }
    }

    fn take(&mut self, share: Option<PieceShare>) -> Result<()> {
        let group = share.as_ref().map(|share| share.group);
        if self.held_group.is_some() && self.held_group != group {
            self.merge.release(None);
            (self.held_group, self.later, self.at_end) = (None, share, group.is_none());
            return Ok(());
        }
        let Some(share) = share else {
            self.at_end = true;
            return Ok(());
        };
        if share.in_order {
            if self.check.0 != share.group {
                self.check = (share.group, OrderCheck::default());
            }
            for batch in &share.batches {
                self.check.1.check(batch, self.splitter.symbol, &self.keys)?;
            }
            self.ready.extend(share.batches);
        } else {
            self.held_group = group;
            for batch in share.batches {
                self.merge.hold(batch)?;
            }
            self.exchange.check(self.merge.bytes())?;
            self.reservation.resize(self.merge.bytes());
            if share.before.is_some() && self.merge.held_rows() >= ROWS_TO_MERGE {
                self.merge.release(share.before);
            }
        }
        Ok(())
    }
}
