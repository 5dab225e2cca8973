//! A DataFusion session that holds our tables and nothing else, within a memory limit.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use super::provider::LakeTable;
use crate::lake::TableView;

pub const TICKS: &str = "ticks";
pub const DEAD_LETTERS: &str = "dead_letters";

/// Memory that sorts, groups and joins may hold before they spill.
pub const DEFAULT_MEMORY_BYTES: usize = 512 * 1024 * 1024;
/// A window needs its input sorted, so at least two workers keep both cores of a small machine busy.
const MIN_PARTITIONS: usize = 2;
/// Consumers named in the error of an exhausted pool.
const NAMED_CONSUMERS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(3).expect("three is not zero");

pub struct QuerySession {
    context: SessionContext,
}

impl QuerySession {
    /// # Errors
    /// The runtime can't be set up, e.g. because there is no folder to spill to.
    pub fn new(memory_bytes: usize) -> Result<Self> {
        let partitions = std::thread::available_parallelism().map_or(MIN_PARTITIONS, |n| n.get().max(MIN_PARTITIONS));
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(false);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.pushdown_filters = true;
        options.sql_parser.collect_spans = true;
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), NAMED_CONSUMERS);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        Ok(Self { context: SessionContext::new_with_state(state) })
    }

    /// Makes a table known under `name`, with its store under a URL of its own.
    ///
    /// # Errors
    /// The schema doesn't hold the partition column, or the name is taken.
    pub fn register(&self, name: &str, view: TableView) -> Result<()> {
        let url = ObjectStoreUrl::parse(format!("tickhouse://{}", name.replace('_', "-")))?;
        self.context.runtime_env().register_object_store(url.as_ref(), Arc::clone(&view.store));
        let table: Arc<dyn TableProvider> = Arc::new(LakeTable::new(view, url)?);
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Plans one statement that only reads.
    ///
    /// # Errors
    /// The statement doesn't parse, names what doesn't exist, or is no query.
    pub async fn plan_sql(&self, sql: &str) -> Result<DataFrame> {
        let dialect = self.context.state().config_options().sql_parser.dialect;
        let statement = self.context.state().sql_to_statement(sql, &dialect)?;
        self.plan(statement).await
    }

    /// Plans a parsed statement that only reads.
    ///
    /// # Errors
    /// As [`Self::plan_sql`].
    pub async fn plan(&self, statement: Statement) -> Result<DataFrame> {
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let plan = self.context.state().statement_to_plan(statement).await?;
        read_only.verify_plan(&plan)?;
        self.context.execute_logical_plan(plan).await
    }

    pub fn context(&self) -> &SessionContext {
        &self.context
    }
}
