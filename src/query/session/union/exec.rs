//! The operator that gives the tail's rows.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column as ColumnName, Result, ScalarValue, Statistics, exec_datafusion_err, project_schema};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{conjunction, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{ProjectionExec, all_alias_free_columns};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream;

use crate::tail::TailBatch;

/// Rows in memory, with bounds that leave batches out.
#[derive(Debug)]
pub(in crate::query) struct TailRows {
    schema: SchemaRef,
    batches: Vec<Arc<TailBatch>>,
}

impl TailRows {
    pub(in crate::query) fn new(schema: SchemaRef, batches: Vec<Arc<TailBatch>>) -> Self {
        Self { schema, batches }
    }

    pub(in crate::query) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(in crate::query) fn rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows.num_rows()).sum()
    }

    fn bound(&self, column: &str, of: fn(&(i64, i64)) -> i64) -> Option<ArrayRef> {
        let batches = self.batches.iter();
        Some(match column {
            "ts" => {
                let times: TimestampMicrosecondArray = batches.map(|batch| Some(of(&batch.ts))).collect();
                Arc::new(times.with_timezone("UTC"))
            }
            "kafka_offset" => Arc::new(batches.map(|batch| Some(of(&batch.offsets))).collect::<Int64Array>()),
            "kafka_partition" => Arc::new(batches.map(|batch| Some(batch.partition)).collect::<Int32Array>()),
            _ => return None,
        })
    }
}

impl PruningStatistics for TailRows {
    fn min_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.bound(column.name(), |bounds| bounds.0)
    }

    fn max_values(&self, column: &ColumnName) -> Option<ArrayRef> {
        self.bound(column.name(), |bounds| bounds.1)
    }

    fn num_containers(&self) -> usize {
        self.batches.len()
    }

    fn null_counts(&self, _: &ColumnName) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.batches.iter().map(|batch| Some(batch.rows.num_rows() as u64));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &ColumnName, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[derive(Debug, Clone)]
pub(in crate::query) struct TailExec {
    tail: Arc<TailRows>,
    /// Over all columns.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// Places of the columns that are given.
    projection: Vec<usize>,
    partitions: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TailExec {
    pub(in crate::query) fn new(
        tail: Arc<TailRows>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        projection: Option<Vec<usize>>,
        partitions: usize,
    ) -> Result<Self> {
        let projection = projection.unwrap_or_else(|| (0..tail.schema.fields().len()).collect());
        let schema = project_schema(&tail.schema, Some(&projection))?;
        let partitions = partitions.min(tail.batches.len()).max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Ok(Self { tail, predicate, projection, partitions, properties, metrics })
    }

    /// The same rows with these of its columns.
    pub(in crate::query) fn projected(&self, columns: &[usize]) -> Result<Self> {
        let projection = columns.iter().map(|at| self.projection[*at]).collect();
        Self::new(Arc::clone(&self.tail), self.predicate.clone(), Some(projection), self.partitions)
    }

    /// All rows, batch by batch: those of a Kafka partition in the order of their offsets.
    ///
    /// # Errors
    /// The predicate can't be evaluated.
    pub(in crate::query) fn batches(&self) -> Result<Vec<RecordBatch>> {
        let batches = self.chosen()?.into_iter().map(|batch| self.narrowed(&batch.rows));
        batches.filter(has_rows).collect()
    }

    /// Batches that may have a matching row.
    fn chosen(&self) -> Result<Vec<Arc<TailBatch>>> {
        let Some(predicate) = &self.predicate else { return Ok(self.tail.batches.clone()) };
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.tail.schema));
        let may_match = builder.try_build(Arc::clone(predicate))?.prune(self.tail.as_ref())?;
        let batches = self.tail.batches.iter().zip(may_match).filter(|(_, may_match)| *may_match);
        Ok(batches.map(|(batch, _)| Arc::clone(batch)).collect())
    }

    fn narrowed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(predicate) = &self.predicate else { return Ok(batch.project(&self.projection)?) };
        let matches = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
        let matches = matches.as_boolean_opt().ok_or_else(|| exec_datafusion_err!("a filter is no condition"))?;
        Ok(filter_record_batch(&batch.project(&self.projection)?, matches)?)
    }
}

fn has_rows(batch: &Result<RecordBatch>) -> bool {
    batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)
}

impl DisplayAs for TailExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TailExec: rows={}, batches={}", self.tail.rows(), self.tail.batches.len())?;
        match &self.predicate {
            Some(predicate) => write!(f, ", predicate={predicate}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for TailExec {
    fn name(&self) -> &'static str {
        "TailExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.predicate.as_ref().map_or(Ok(TreeNodeRecursion::Continue), f)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let exprs: ProjectionExprs = projection.projection_expr().clone();
        if !all_alias_free_columns(exprs.as_ref()) {
            return Ok(None);
        }
        let place = |expr: &Arc<dyn PhysicalExpr>| Some(expr.downcast_ref::<Column>()?.index());
        let places: Option<Vec<usize>> = exprs.as_ref().iter().map(|one| place(&one.expr)).collect();
        let Some(places) = places else { return Ok(None) };
        Ok(Some(Arc::new(self.projected(&places)?)))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        if phase != FilterPushdownPhase::Pre || result.parent_filters.is_empty() {
            return Ok(FilterPushdownPropagation::if_all(result));
        }
        let schema = &self.tail.schema;
        let taken = result.parent_filters.iter().map(|one| reassign_expr_columns(Arc::clone(&one.filter), schema));
        let all = self.predicate.iter().cloned().map(Ok).chain(taken).collect::<Result<Vec<_>>>()?;
        let taken = vec![PushedDown::Yes; result.parent_filters.len()];
        let filtered = Self { predicate: Some(conjunction(all)), ..self.clone() };
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(taken).with_updated_node(Arc::new(filtered)))
    }

    /// Counts are exact where nothing filters.
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if self.predicate.is_none() {
            let of_partition = |at: &usize| args.partition().is_none_or(|partition| at % self.partitions == partition);
            let batches = self.tail.batches.iter().enumerate().filter(|(at, _)| of_partition(at));
            statistics.num_rows = Precision::Exact(batches.map(|(_, batch)| batch.rows.num_rows()).sum());
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let partitions = self.partitions;
        let mine = self.chosen()?.into_iter().enumerate().filter(move |(at, _)| at % partitions == partition);
        let exec = self.clone();
        let batches = mine.map(move |(_, batch)| {
            let _timer = metrics.elapsed_compute().timer();
            let narrowed = exec.narrowed(&batch.rows);
            if let Ok(batch) = &narrowed {
                metrics.record_output(batch.num_rows());
            }
            narrowed
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::iter(batches.filter(has_rows)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
