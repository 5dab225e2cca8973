//! The union as DataFusion sees it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::exec::{TailExec, TailRows};
use crate::query::session::provider::{LakeFiles, LakeTable, physical};

#[derive(Debug)]
pub(in crate::query) struct UnionTable {
    lake: LakeTable,
    files: Arc<LakeFiles>,
    tail: Arc<TailRows>,
}

impl UnionTable {
    pub(in crate::query) fn new(lake: LakeTable, files: Arc<LakeFiles>, tail: Arc<TailRows>) -> Self {
        Self { lake, files, tail }
    }
}

#[async_trait]
impl TableProvider for UnionTable {
    fn schema(&self) -> SchemaRef {
        self.lake.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.lake.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.lake.scan(state, projection, filters, limit).await?;
        if self.tail.is_empty() {
            return Ok(files);
        }
        // The others come down as all filters do.
        let exact = filters.iter().filter(|filter| self.files.is_on_partition(filter)).cloned().collect();
        let predicate = physical(state, exact, &self.schema())?;
        let partitions = state.config().target_partitions();
        let tail = TailExec::new(Arc::clone(&self.tail), predicate, projection.cloned(), partitions)?;
        let tail: Arc<dyn ExecutionPlan> = Arc::new(tail);
        match files.is::<EmptyExec>() {
            true => Ok(tail),
            false => UnionExec::try_new(vec![files, tail]),
        }
    }
}
