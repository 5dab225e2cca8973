//! A table at one version as DataFusion sees it: the files of a [`TableView`], pruned and pushed down to Parquet.
//!
//! Filters are inexact: they choose files, row groups and pages, and DataFusion checks every row again.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

use super::pruning::files_that_may_match;
use crate::lake::{DataFile, TableView};

/// Bytes fetched from the end of a file at once: footers of our files fit, so opening one costs one request.
const FOOTER_HINT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub struct LakeTable {
    view: TableView,
    /// Where the session finds the store of this table.
    url: ObjectStoreUrl,
    table_schema: TableSchema,
}

impl LakeTable {
    /// `url` is the one under which the store of `view` is registered.
    ///
    /// # Errors
    /// The partition column is not in the schema.
    pub fn new(view: TableView, url: ObjectStoreUrl) -> Result<Self> {
        let partition = Arc::new(view.schema.field_with_name(&view.partition_column)?.clone());
        let in_files: Vec<_> =
            view.schema.fields().iter().filter(|field| field.name() != partition.name()).cloned().collect();
        let table_schema =
            TableSchema::builder(Arc::new(Schema::new(in_files))).with_table_partition_cols(vec![partition]).build();
        Ok(Self { view, url, table_schema })
    }

    fn partitioned_file(&self, file: &DataFile) -> PartitionedFile {
        let meta = ObjectMeta {
            location: file.path.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        PartitionedFile::new_from_meta(meta)
            .with_partition_values(vec![ScalarValue::Date32(Some(file.partition_value))])
    }

    /// Row count only: it answers `count(*)` without a scan and orders joins.
    fn statistics_of(&self, files: &[&DataFile]) -> Statistics {
        let rows: Option<u64> = files.iter().map(|file| file.rows).sum();
        let mut statistics = Statistics::new_unknown(self.table_schema.table_schema());
        statistics.num_rows = rows.map_or(Precision::Absent, |rows| Precision::Exact(rows as usize));
        statistics
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let predicate = match conjunction(filters.to_vec()) {
            Some(filter) => {
                let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
                Some(state.create_physical_expr(filter, &df_schema)?)
            }
            None => None,
        };
        let mut files = files_that_may_match(&self.view, &schema, predicate.as_ref())?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&schema, projection)?)));
        }
        files.sort_by(|a, b| (a.partition_value, &a.path).cmp(&(b.partition_value, &b.path)));
        let statistics = self.statistics_of(&files);
        let all: FileGroup = files.iter().map(|file| self.partitioned_file(file)).collect();
        let groups = all.split_files(state.config().target_partitions());

        let mut source = ParquetSource::new(self.table_schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER_HINT_BYTES);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
