//! The operator that puts the rows of the union's tail between those of the files: each symbol in one partition, its
//! rows in order.
//!
//! Invariant: the files' rows of a symbol come in order, so a row of the tail can go once a later one of the files
//! comes, and what is left goes at the end. Nothing of the files is held; of the tail, two numbers a row.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::compute::interleave_record_batch;
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use super::exchange::{BATCH_ROWS, SymbolSplitter};
use super::merge::{OrderKey, OrderKeys};
use super::order::TickOrderExec;
use super::symbols::{SYMBOL, each_run};
use crate::query::session::union::TailExec;

#[derive(Debug)]
pub(super) struct TailMergeExec {
    /// Each symbol in one partition, its rows in order; `None` where no file may have a row.
    files: Option<Arc<dyn ExecutionPlan>>,
    tail: TailExec,
    keys: OrderKeys,
    splitter: SymbolSplitter,
    index: OnceLock<Arc<OnceCell<TailIndex>>>,
    properties: Arc<PlanProperties>,
}

impl TailMergeExec {
    /// `None` where the order needs a column that isn't read.
    pub(super) fn new(files: Option<Arc<dyn ExecutionPlan>>, tail: TailExec, partitions: usize) -> Option<Self> {
        let schema = tail.schema();
        let (symbol, _) = schema.column_with_name(SYMBOL)?;
        let keys = OrderKeys::of(&schema)?;
        let splitter = match &files {
            Some(files) => splitter_of(files)?.over(Arc::clone(&schema), symbol),
            None => SymbolSplitter::new(Arc::clone(&schema), symbol, partitions),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(splitter.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Some(Self { files, tail, keys, splitter, index: OnceLock::new(), properties: Arc::new(properties) })
    }

    /// As [`TickOrderExec::narrowed`]; what orders rows is read in any case.
    pub(super) fn narrowed(&self, mut columns: BTreeSet<usize>) -> Result<Option<(Self, Vec<usize>)>> {
        columns.extend(&self.keys.columns);
        let (files, kept) = match &self.files {
            None if columns.len() < self.schema().fields().len() => (None, columns.into_iter().collect()),
            None => return Ok(None),
            Some(files) => {
                let Some(ticks) = files.downcast_ref::<TickOrderExec>() else { return Ok(None) };
                let Some((ticks, kept)) = ticks.narrowed(columns)? else { return Ok(None) };
                (Some(Arc::new(ticks) as Arc<dyn ExecutionPlan>), kept)
            }
        };
        let tail = self.tail.projected(&kept)?;
        Ok(Self::new(files, tail, self.splitter.partitions).map(|merge| (merge, kept)))
    }

    fn renewed(&self, files: Option<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let renewed = Self::new(files, self.tail.clone(), self.splitter.partitions);
        let renewed = renewed.ok_or_else(|| exec_datafusion_err!("the files are not in order below the tail"))?;
        Ok(Arc::new(renewed))
    }
}

/// How the operator that brings the files into order splits symbols.
fn splitter_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&SymbolSplitter> {
    if let Some(ticks) = plan.downcast_ref::<TickOrderExec>() {
        return Some(ticks.splitter());
    }
    match plan.children()[..] {
        [child] => splitter_of(child),
        _ => None,
    }
}

impl DisplayAs for TailMergeExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TailMergeExec: partitions={}, ", self.splitter.partitions)?;
        self.tail.fmt_as(format, f)
    }
}

impl ExecutionPlan for TailMergeExec {
    fn name(&self) -> &'static str {
        "TailMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.files.iter().collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.files.iter().map(|_| false).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.renewed(children.pop())
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        self.renewed(self.files.clone())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let index = Arc::clone(self.index.get_or_init(Arc::default));
        let files = self.files.as_ref().map(|files| files.execute(partition, Arc::clone(&context))).transpose()?;
        let (tail, keys, splitter) = (self.tail.clone(), self.keys.clone(), self.splitter.clone());
        let symbol = self.splitter.symbol;
        let reservation = MemoryConsumer::new("TailMergeExec").register(context.memory_pool());
        let merged = stream::once(async move {
            let (of_all, keys_of_all) = (splitter, keys.clone());
            let build = async || {
                let build = SpawnedTask::spawn_blocking(move || TailIndex::of(&tail, &keys_of_all, &of_all));
                build.join_unwind().await.map_err(|error| exec_datafusion_err!("sort the tail: {error}"))?
            };
            let index = index.get_or_try_init(build).await?;
            let merge = TailMerger::new(index, partition, symbol, keys, reservation)?;
            Ok::<_, datafusion::common::DataFusionError>(stream::try_unfold(
                (merge, files),
                |(mut merge, mut files)| async move {
                    loop {
                        if let Some(batch) = merge.ready.pop_front() {
                            return Ok(Some((batch, (merge, files))));
                        }
                        match &mut files {
                            Some(input) => match input.next().await.transpose()? {
                                Some(batch) => merge.push(batch)?,
                                None => files = None,
                            },
                            None => match merge.rest()? {
                                Some(batch) => return Ok(Some((batch, (merge, files)))),
                                None => return Ok(None),
                            },
                        }
                    }
                },
            ))
        });
        let merged = futures::TryStreamExt::try_flatten(merged);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), merged)))
    }
}

/// Batch and row.
type TailRow = (u32, u32);

/// The rows of a symbol, in order.
type PendingRows = HashMap<Box<str>, VecDeque<(OrderKey, TailRow)>>;

/// The tail's rows by partition and symbol.
#[derive(Debug)]
struct TailIndex {
    batches: Arc<[RecordBatch]>,
    /// Taken by the partition that merges them.
    parts: Vec<Mutex<Option<PendingRows>>>,
}

impl TailIndex {
    fn of(tail: &TailExec, keys: &OrderKeys, splitter: &SymbolSplitter) -> Result<Self> {
        let batches = tail.batches()?;
        let mut numbers: hashbrown::HashMap<Box<str>, usize> = hashbrown::HashMap::new();
        let mut rows_of: Vec<VecDeque<(OrderKey, TailRow)>> = Vec::new();
        for (batch, number) in batches.iter().zip(0..) {
            let columns = keys.read(batch);
            each_run(batch.column(splitter.symbol), |name, rows| {
                let next = rows_of.len();
                let symbol = *numbers.entry_ref(name).or_insert(next);
                if symbol == next {
                    rows_of.push(VecDeque::new());
                }
                rows_of[symbol].extend(rows.map(|row| (columns.key(row), (number, row as u32))));
            })?;
        }
        let mut parts: Vec<PendingRows> = std::iter::repeat_with(HashMap::new).take(splitter.partitions).collect();
        for (name, symbol) in numbers {
            let mut rows = std::mem::take(&mut rows_of[symbol]);
            // Those of one Kafka partition mostly came in order.
            if !rows.iter().is_sorted_by_key(|(key, _)| *key) {
                rows.make_contiguous().sort_by_key(|(key, _)| *key);
            }
            parts[splitter.partition_of(&name)].insert(name, rows);
        }
        let parts = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
        Ok(Self { batches: batches.into(), parts })
    }
}

/// One partition of the output.
struct TailMerger {
    batches: Arc<[RecordBatch]>,
    pending: PendingRows,
    /// Symbols of which rows are left at the end.
    left: Vec<Box<str>>,
    symbol: usize,
    keys: OrderKeys,
    ready: VecDeque<RecordBatch>,
    _reservation: MemoryReservation,
}

impl TailMerger {
    fn new(
        index: &TailIndex,
        partition: usize,
        symbol: usize,
        keys: OrderKeys,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let part = index.parts[partition].lock().unwrap_or_else(PoisonError::into_inner).take();
        let pending = part.ok_or_else(|| exec_datafusion_err!("partition {partition} of the tail was read already"))?;
        let rows: usize = pending.values().map(VecDeque::len).sum();
        reservation.try_grow(rows * size_of::<(OrderKey, TailRow)>())?;
        let mut left: Vec<Box<str>> = pending.keys().cloned().collect();
        left.sort_unstable_by(|one, other| other.cmp(one));
        let batches = Arc::clone(&index.batches);
        Ok(Self { batches, pending, left, symbol, keys, ready: VecDeque::new(), _reservation: reservation })
    }

    /// The next rows of the files, with those of the tail that come before them.
    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let Self { pending, keys, .. } = self;
        let columns = keys.read(&batch);
        // `None` is this batch.
        let mut places: Vec<(Option<u32>, u32)> = Vec::new();
        let mut is_mixed = false;
        each_run(batch.column(self.symbol), |name, rows| {
            let mut start = rows.start;
            if let Some(pending) = pending.get_mut(name) {
                while let Some((key, place)) = pending.front().copied() {
                    if columns.key(rows.end - 1) < key {
                        break;
                    }
                    if !is_mixed {
                        is_mixed = true;
                        places.extend((0..rows.start).map(|row| (None, row as u32)));
                    }
                    while columns.key(start) < key {
                        places.push((None, start as u32));
                        start += 1;
                    }
                    places.push((Some(place.0), place.1));
                    pending.pop_front();
                }
            }
            if is_mixed {
                places.extend((start..rows.end).map(|row| (None, row as u32)));
            }
        })?;
        if !is_mixed {
            self.ready.push_back(batch);
            return Ok(());
        }
        for places in places.chunks(BATCH_ROWS) {
            let mixed = self.put_together(Some(&batch), places)?;
            self.ready.push_back(mixed);
        }
        Ok(())
    }

    /// What is left of the tail; the files have no more.
    fn rest(&mut self) -> Result<Option<RecordBatch>> {
        let mut places: Vec<(Option<u32>, u32)> = Vec::new();
        while let Some(name) = self.left.last()
            && places.len() < BATCH_ROWS
        {
            let rows = self.pending.get_mut(name);
            let room = BATCH_ROWS - places.len();
            let taken = rows.into_iter().flat_map(|rows| {
                let count = rows.len().min(room);
                rows.drain(..count)
            });
            let before = places.len();
            places.extend(taken.map(|(_, (batch, row))| (Some(batch), row)));
            if places.len() - before < room {
                self.left.pop();
            }
        }
        match places.is_empty() {
            true => Ok(None),
            false => self.put_together(None, &places).map(Some),
        }
    }

    fn put_together(&self, batch: Option<&RecordBatch>, places: &[(Option<u32>, u32)]) -> Result<RecordBatch> {
        let mut used: Vec<Option<u32>> = places.iter().map(|(batch, _)| *batch).collect();
        used.sort_unstable();
        used.dedup();
        let source = |at: &Option<u32>| match at {
            Some(at) => self.batches.get(*at as usize),
            None => batch,
        };
        let sources: Option<Vec<&RecordBatch>> = used.iter().map(source).collect();
        let sources = sources.ok_or_else(|| exec_datafusion_err!("a row of the tail is in no batch"))?;
        let numbers: hashbrown::HashMap<Option<u32>, usize> =
            used.iter().enumerate().map(|(at, batch)| (*batch, at)).collect();
        let places: Vec<(usize, usize)> = places.iter().map(|(batch, row)| (numbers[batch], *row as usize)).collect();
        Ok(interleave_record_batch(&sources, &places)?)
    }
}
