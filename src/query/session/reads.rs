//! What a plan reads of each table and what it leaves out, and why: for `--explain`.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccessPlanFilter};
use datafusion::datasource::physical_plan::{FileScanConfig, ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, TryStreamExt, stream};

/// Files whose footers are read to count row groups.
const FOOTERS_AT_MOST: usize = 1_000;
const FOOTERS_AT_ONCE: usize = 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadAmount {
    pub files: u64,
    pub bytes: u64,
}

impl ReadAmount {
    pub(in crate::query) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// One scan of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReads {
    pub table: String,
    pub partition_column: String,
    pub all: ReadAmount,
    /// In partitions that the filters exclude.
    pub of_other_partitions: ReadAmount,
    /// Excluded by the bounds of their columns.
    pub out_of_bounds: ReadAmount,
    /// Zero for a count that the log of the table answers.
    pub opened: ReadAmount,
    /// Of the opened files; `None` without a filter, and for more files than are worth reading their footers.
    pub row_groups: Option<RowGroups>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowGroups {
    pub all: u64,
    /// Those that their statistics don't exclude.
    pub may_match: u64,
}

/// A scan as it was planned, with what it takes to read the footers of its files.
#[derive(Debug)]
pub(in crate::query) struct PlannedScan {
    pub(in crate::query) reads: TableReads,
    pub(in crate::query) url: ObjectStoreUrl,
    pub(in crate::query) files: Vec<PartitionedFile>,
    pub(in crate::query) filter: Option<Arc<dyn PhysicalExpr>>,
    pub(in crate::query) schema: SchemaRef,
    pub(in crate::query) readers: Arc<dyn ParquetFileReaderFactory>,
}

/// Where the tables of a session note the scans of the plan that is being made.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct PlannedScans(Arc<Mutex<Vec<PlannedScan>>>);

impl PlannedScans {
    pub(in crate::query) fn note(&self, scan: PlannedScan) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scan);
    }

    /// All since the last call.
    pub(in crate::query) fn take(&self) -> Vec<PlannedScan> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PlannedScan {
    /// # Errors
    /// A footer can't be read.
    pub(in crate::query) async fn reads_in(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<TableReads> {
        let mut reads = self.reads.clone();
        if !scans_of(plan, &self.url) {
            reads.opened = ReadAmount::default();
            return Ok(reads);
        }
        let Some(filter) = self.filter.as_ref().filter(|_| self.files.len() <= FOOTERS_AT_MOST) else {
            return Ok(reads);
        };
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.schema));
        let predicate = builder.try_build(Arc::clone(filter))?;
        let counted = self.files.iter().map(|file| self.row_groups(file, &predicate));
        let counted: Vec<RowGroups> = stream::iter(counted).buffered(FOOTERS_AT_ONCE).try_collect().await?;
        reads.row_groups = Some(counted.iter().fold(RowGroups::default(), |sum, one| RowGroups {
            all: sum.all + one.all,
            may_match: sum.may_match + one.may_match,
        }));
        Ok(reads)
    }

    async fn row_groups(&self, file: &PartitionedFile, predicate: &PruningPredicate) -> Result<RowGroups> {
        let metrics = ExecutionPlanMetricsSet::new();
        let mut reader = self.readers.create_reader(0, file.clone(), file.metadata_size_hint, &metrics)?;
        let footer = reader.get_metadata(None).await.map_err(|error| DataFusionError::ParquetError(Box::new(error)))?;
        let groups = footer.row_groups();
        let mut left = RowGroupAccessPlanFilter::new(ParquetAccessPlan::new_all(groups.len()));
        let metrics = ParquetFileMetrics::new(0, file.object_meta.location.as_ref(), &metrics);
        left.prune_by_statistics(&self.schema, footer.file_metadata().schema_descr(), groups, predicate, &metrics);
        Ok(RowGroups { all: groups.len() as u64, may_match: left.remaining_row_group_count() as u64 })
    }
}

/// The optimizer answers a count without the scan that was planned for it.
fn scans_of(plan: &Arc<dyn ExecutionPlan>, url: &ObjectStoreUrl) -> bool {
    let scan = plan.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    let config = scan.and_then(|source| source.downcast_ref::<FileScanConfig>());
    config.is_some_and(|config| config.object_store_url == *url)
        || plan.children().iter().any(|child| scans_of(child, url))
}
