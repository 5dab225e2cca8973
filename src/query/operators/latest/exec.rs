//! The operator that reads of each symbol the rows that can be among its last.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::row_selection::{OpenedFile, RowChooser};
use crate::query::operators::rolling::spans;

/// Files whose footers and dictionaries are read side by side.
const OPENED_AT_ONCE: usize = 8;

#[derive(Debug)]
pub(super) struct LastTicksExec {
    /// All files that may matter.
    source: Arc<dyn ExecutionPlan>,
    /// Rows wanted of each symbol.
    rows: usize,
    /// Of the scan.
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl LastTicksExec {
    pub(super) fn new(source: Arc<dyn ExecutionPlan>, rows: usize, partitions: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(source.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { source, rows, partitions, properties: Arc::new(properties) }
    }
}

/// A scan of the rows that were chosen.
async fn narrowed(source: &dyn ExecutionPlan, rows: usize, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let wrong = || exec_datafusion_err!("LastTicksExec reads Parquet files, not {}", source.name());
    let source = source.downcast_ref::<DataSourceExec>().ok_or_else(wrong)?;
    let (config, parquet) = source.downcast_to_file_source::<ParquetSource>().ok_or_else(wrong)?;
    let reader = parquet.parquet_file_reader_factory().ok_or_else(wrong)?;
    let mut newest_first = spans(config)?;
    newest_first.sort_by_key(|span| (Reverse((span.last, span.first)), span.path().to_owned()));
    // A planner may have cut files into ranges.
    newest_first.dedup_by(|one, other| one.path() == other.path());
    newest_first.iter_mut().for_each(|span| span.file.range = None);
    let mut chooser = RowChooser::new(Arc::clone(reader), rows);
    let mut groups: Vec<FileGroup> = vec![FileGroup::default(); partitions];
    let opened = newest_first.into_iter().map(|span| OpenedFile::of(span, reader));
    let mut opened = stream::iter(opened).buffered(OPENED_AT_ONCE);
    while let Some(file) = opened.try_next().await? {
        let Some(access) = chooser.choose(&file).await? else { continue };
        for (part, group) in groups.iter_mut().enumerate() {
            group.push(file.span.file.clone().with_extension(part_of(&access, part, partitions)));
        }
    }
    let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
    Ok(Arc::new(CoalescePartitionsExec::new(DataSourceExec::from_data_source(config))))
}

/// Every so many-th row group.
fn part_of(access: &ParquetAccessPlan, part: usize, parts: usize) -> ParquetAccessPlan {
    let groups = access.inner().iter().enumerate().map(|(at, group)| match at % parts == part {
        true => group.clone(),
        false => RowGroupAccess::Skip,
    });
    ParquetAccessPlan::new(groups.collect())
}

impl DisplayAs for LastTicksExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastTicksExec: rows={}", self.rows)
    }
}

impl ExecutionPlan for LastTicksExec {
    fn name(&self) -> &'static str {
        "LastTicksExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.source]
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.rows, self.partitions)))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (source, rows, partitions) = (Arc::clone(&self.source), self.rows, self.partitions);
        let batches =
            stream::once(async move { narrowed(source.as_ref(), rows, partitions).await?.execute(0, context) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.source.schema(), batches.try_flatten())))
    }
}
