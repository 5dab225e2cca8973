//! A table at one version as DataFusion sees it: the files of a [`TableView`], oldest partition first.
//!
//! Filters on the partition column alone are decided here and exactly. All others choose files here; DataFusion
//! pushes them on into the scan, which prunes row groups and rows.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;

use crate::lake::TableView;
use crate::query::operators::rolling::{MANY_ROWS, says_sorted};
use crate::query::session::pruning::{FileBounds, FileVerdict};
use crate::query::session::reads::{PlannedScan, PlannedScans, ReadAmount, TableReads};
use crate::tail::as_read;

/// Bytes fetched from the end of a file at once: footers of our files fit, so opening one costs one request.
const FOOTER_HINT_BYTES: usize = 64 * 1024;
const FOOTERS_AT_ONCE: usize = 8;

/// The files of a table at one version and what is known of them: made once, and shared by sessions.
#[derive(Debug)]
pub(in crate::query) struct LakeFiles {
    bounds: FileBounds,
    table_schema: TableSchema,
    partition_schema: SchemaRef,
    /// Of each file; its text is read when a scan first asks.
    statistics: Vec<OnceLock<Arc<Statistics>>>,
}

impl LakeFiles {
    /// # Errors
    /// The partition column is not in the schema.
    pub(in crate::query) fn of(mut view: TableView) -> Result<Self> {
        let partition = Arc::new(view.schema.field_with_name(&view.partition_column)?.clone());
        let in_files = view.schema.fields().iter().filter(|field| field.name() != partition.name());
        let in_files: Vec<FieldRef> = in_files.map(as_read).collect();
        let table_schema = TableSchema::builder(Arc::new(Schema::new(in_files)))
            .with_table_partition_cols(vec![Arc::clone(&partition)])
            .build();
        view.files.sort_by(|a, b| (a.partition_value, &a.path).cmp(&(b.partition_value, &b.path)));
        view.schema = Arc::clone(table_schema.table_schema());
        let partition_schema = Arc::new(Schema::new(vec![partition]));
        let statistics = vec![OnceLock::new(); view.files.len()];
        Ok(Self { bounds: FileBounds::of(view), table_schema, partition_schema, statistics })
    }

    /// Oldest and newest event time, if the statistics of all files have it.
    pub(in crate::query) fn times(&self) -> Option<(i64, i64)> {
        self.bounds.times()
    }

    /// See [`FileBounds::spans`].
    pub(in crate::query) fn spans(&self) -> impl Iterator<Item = (Option<(i64, i64)>, Option<u64>)> {
        self.bounds.spans()
    }

    pub(in crate::query) fn schema(&self) -> &SchemaRef {
        self.table_schema.table_schema()
    }

    pub(in crate::query) fn view(&self) -> &TableView {
        &self.bounds.view
    }

    /// Decided by the partition column alone.
    pub(in crate::query) fn is_on_partition(&self, filter: &Expr) -> bool {
        expr_applicable_for_cols(&[&self.bounds.view.partition_column], filter)
    }

    fn statistics(&self, at: usize) -> Arc<Statistics> {
        let known = || Arc::new(self.bounds.statistics(at, self.table_schema.file_schema()));
        Arc::clone(self.statistics[at].get_or_init(known))
    }
}

#[derive(Debug)]
pub(in crate::query) struct LakeTable {
    name: String,
    files: Arc<LakeFiles>,
    /// Where the session finds the store of this table.
    url: ObjectStoreUrl,
    scans: PlannedScans,
}

impl LakeTable {
    /// `url` is the one under which the store of the files is registered.
    pub(in crate::query) fn new(name: &str, files: Arc<LakeFiles>, url: ObjectStoreUrl, scans: PlannedScans) -> Self {
        Self { name: name.to_owned(), files, url, scans }
    }

    fn partitioned_file(&self, at: usize) -> PartitionedFile {
        let file = &self.files.bounds.view.files[at];
        let meta = ObjectMeta {
            location: file.path.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        PartitionedFile::new_from_meta(meta)
            .with_partition_values(vec![ScalarValue::Date32(Some(file.partition_value))])
            .with_statistics(self.files.statistics(at))
    }

    /// A window per symbol needs the symbol and the time; without them, as for a count, no footer is read.
    fn may_roll(&self, projection: Option<&Vec<usize>>) -> bool {
        let schema = self.files.table_schema.table_schema();
        let reads = |name: &str| projection.is_none_or(|read| read.iter().any(|at| schema.field(*at).name() == name));
        reads("symbol") && reads("ts")
    }

    /// The file with what its footer says about its order, which a plan has to know of large ones.
    async fn known_order(&self, at: usize, readers: &dyn ParquetFileReaderFactory) -> Result<PartitionedFile> {
        let file = self.partitioned_file(at);
        if self.files.bounds.view.files[at].rows.is_some_and(|rows| rows < MANY_ROWS) {
            return Ok(file);
        }
        let says = says_sorted(readers, &file).await?;
        Ok(file.with_extension(says))
    }

    /// Row count only: it answers `count(*)` without a scan and orders joins.
    fn row_count(&self, files: &[usize]) -> Statistics {
        let rows: Option<u64> = files.iter().map(|at| self.files.bounds.view.files[*at].rows).sum();
        let mut statistics = Statistics::new_unknown(self.files.table_schema.table_schema());
        statistics.num_rows = rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
        statistics
    }

    fn reads(&self, judged: &[FileVerdict]) -> TableReads {
        let [mut all, mut of_other_partitions, mut out_of_bounds, mut opened] = [ReadAmount::default(); 4];
        for (file, judged) in self.files.bounds.view.files.iter().zip(judged) {
            all.add(file.bytes);
            match judged {
                FileVerdict::OtherPartition => of_other_partitions.add(file.bytes),
                FileVerdict::OutOfBounds => out_of_bounds.add(file.bytes),
                FileVerdict::MayMatch => opened.add(file.bytes),
            }
        }
        let (table, partition_column) = (self.name.clone(), self.files.bounds.view.partition_column.clone());
        TableReads { table, partition_column, all, of_other_partitions, out_of_bounds, opened, row_groups: None }
    }
}

pub(in crate::query) fn physical(
    state: &dyn Session,
    filters: Vec<Expr>,
    schema: &SchemaRef,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = conjunction(filters) else { return Ok(None) };
    let schema = DFSchema::try_from(Arc::clone(schema))?;
    state.create_physical_expr(filter, &schema).map(Some)
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.files.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.files.is_on_partition(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (on_partition, others): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.files.is_on_partition(filter));
        let partition_filter = physical(state, on_partition, &self.files.partition_schema)?;
        let filter = physical(state, others, &self.schema())?;
        let judged =
            self.files.bounds.judge(&self.files.partition_schema, partition_filter.as_ref(), filter.clone())?;
        let files: Vec<usize> = (0..judged.len()).filter(|at| judged[*at] == FileVerdict::MayMatch).collect();
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let readers = CachedParquetFileReaderFactory::new(Arc::clone(&self.files.bounds.view.store), cache);
        let readers: Arc<dyn ParquetFileReaderFactory> = Arc::new(readers);
        let all: Vec<PartitionedFile> = match self.may_roll(projection) {
            true => {
                let opened = files.iter().copied().map(|at| self.known_order(at, readers.as_ref()));
                stream::iter(opened).buffered(FOOTERS_AT_ONCE).try_collect().await?
            }
            false => files.iter().map(|at| self.partitioned_file(*at)).collect(),
        };
        self.scans.note(PlannedScan {
            reads: self.reads(&judged),
            url: self.url.clone(),
            files: all.clone(),
            filter,
            schema: self.schema(),
            readers: Arc::clone(&readers),
        });
        if all.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let all: FileGroup = all.into_iter().collect();
        let source = ParquetSource::new(self.files.table_schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER_HINT_BYTES)
            .with_parquet_file_reader_factory(readers);
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(all.split_files(state.config().target_partitions()))
            .with_statistics(self.row_count(&files))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
