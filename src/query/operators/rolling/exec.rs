//! The operator that appends window columns to batches whose rows come in order, symbol by symbol.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;

use super::order::TickOrderExec;
use super::symbols::{SymbolNumbers, TradeDates};
use super::tail::TailMergeExec;
use super::windows::{RollingWindow, RunningWindows};

/// Places in the input of what windows are partitioned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartitionedBy {
    pub symbol: usize,
    pub trade_date: Option<usize>,
}

#[derive(Debug)]
pub(super) struct RollingExec {
    input: Arc<dyn ExecutionPlan>,
    windows: Vec<RollingWindow>,
    by: PartitionedBy,
    /// The input's columns, then one for each window.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RollingExec {
    /// `input` gives each symbol in one partition, its rows in order.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        windows: Vec<RollingWindow>,
        by: PartitionedBy,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, windows, by, schema, properties: Arc::new(properties), metrics }
    }

    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for RollingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.input.schema().fields().len();
        let names: Vec<&str> = self.schema.fields()[first..].iter().map(|field| field.name().as_str()).collect();
        write!(f, "RollingExec: windows=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for RollingExec {
    fn name(&self) -> &'static str {
        "RollingExec"
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
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for argument in self.windows.iter().flat_map(RollingWindow::arguments) {
            if f(argument)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::new(input, self.windows.clone(), self.by, Arc::clone(&self.schema))))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    /// Columns that nobody reads above are not read below.
    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let inputs = self.input.schema().fields().len();
        let arguments = self.windows.iter().flat_map(RollingWindow::arguments);
        let read = projection.expr().iter().map(|one| &one.expr).chain(arguments).flat_map(collect_columns);
        let read = read.map(|column| column.index()).filter(|at| *at < inputs);
        let read: BTreeSet<usize> = read.chain([self.by.symbol]).chain(self.by.trade_date).collect();
        let Some((input, kept)) = narrowed(&self.input, read)? else { return Ok(None) };
        let place = |at: usize| match at.checked_sub(inputs) {
            Some(window) => Ok(kept.len() + window),
            None => kept.binary_search(&at).map_err(|_| exec_datafusion_err!("column {at} was left out")),
        };
        let moved = |expr: &Arc<dyn PhysicalExpr>| moved(expr, &place);
        let windows = self.windows.iter().map(|window| window.with_arguments(&moved)).collect::<Result<_>>()?;
        let by =
            PartitionedBy { symbol: place(self.by.symbol)?, trade_date: self.by.trade_date.map(place).transpose()? };
        let fields = self.schema.fields();
        let fields = kept.iter().map(|at| &fields[*at]).chain(&fields[inputs..]).cloned();
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), self.schema.metadata().clone());
        let rolling = Self::new(input, windows, by, Arc::new(schema));
        let exprs = projection.expr().iter().map(|one| Ok(ProjectionExpr::new(moved(&one.expr)?, one.alias.clone())));
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        Ok(Some(Arc::new(ProjectionExec::try_new(exprs, Arc::new(rolling))?)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut rolling = RunningWindows::new(&self.windows);
        let (mut symbols, mut sessions) = (SymbolNumbers::default(), TradeDates::default());
        let (by, schema) = (self.by, Arc::clone(&self.schema));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let held = MemoryConsumer::new(format!("RollingExec[{partition}]")).register(context.memory_pool());
        let mut rows = 0;
        let input = self.input.execute(partition, context)?;
        let batches = input.map(move |batch| {
            let batch = batch?;
            let _timer = metrics.elapsed_compute().timer();
            let mut runs = symbols.runs(batch.column(by.symbol))?;
            if let Some(at) = by.trade_date {
                runs = sessions.cut(&runs, batch.column(at))?;
            }
            let windows = rolling.extend(&batch, &runs, symbols.len())?;
            // A visit to all symbols after as many rows: a small batch of many symbols does not pay for one.
            rows += batch.num_rows();
            if rows >= symbols.len() {
                rows = 0;
                held.try_resize(rolling.size())?;
            }
            metrics.record_output(batch.num_rows());
            let columns = batch.columns().iter().cloned().chain(windows).collect();
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// A plan, and which of the columns it has.
type NarrowedPlan = (Arc<dyn ExecutionPlan>, Vec<usize>);

/// Ticks in order with these of their columns, and what else that needs.
fn narrowed(input: &Arc<dyn ExecutionPlan>, read: BTreeSet<usize>) -> Result<Option<NarrowedPlan>> {
    fn shared<T: ExecutionPlan + 'static>((plan, kept): (T, Vec<usize>)) -> NarrowedPlan {
        (Arc::new(plan), kept)
    }
    if let Some(ticks) = input.downcast_ref::<TickOrderExec>() {
        return Ok(ticks.narrowed(read)?.map(shared));
    }
    match input.downcast_ref::<TailMergeExec>() {
        Some(ticks) => Ok(ticks.narrowed(read)?.map(shared)),
        None => Ok(None),
    }
}

/// The expression over columns that moved.
fn moved(expr: &Arc<dyn PhysicalExpr>, place: &impl Fn(usize) -> Result<usize>) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = Arc::clone(expr).transform_up(|expr| match expr.downcast_ref::<Column>() {
        Some(column) => {
            let at = place(column.index())?;
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), at))))
        }
        None => Ok(Transformed::no(expr)),
    });
    moved.data()
}
