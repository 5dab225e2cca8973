//! A DataFusion session that holds our tables and nothing else, reads only, and keeps to a memory limit.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};

use futures::StreamExt;

use super::diagnose::{KnownNames, SqlProblem, first_lines, innermost};
use super::error::QueryError;
use super::indicators;
use super::provider::LakeTable;
use super::rolling::{self, Rule};
use super::statement::Parsed;
use crate::lake::TableView;

pub const TICKS: &str = "ticks";
pub const DEAD_LETTERS: &str = "dead_letters";

/// Memory that sorts, groups and joins may hold before they spill to disk.
pub const DEFAULT_MEMORY_BYTES: usize = 512 * 1024 * 1024;
/// A window needs its input sorted, so at least two workers keep both cores of a small machine busy.
const MIN_PARTITIONS: usize = 2;
/// Consumers named in the error of an exhausted pool.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// DataFusion charges each distinct value of several columns with the whole batch that it came in.
const DISTINCT_OF_SEVERAL: &str =
    "; in place of count(DISTINCT (a, b)) write SELECT count(*) FROM (SELECT DISTINCT a, b FROM ..)";

pub struct QuerySession {
    context: SessionContext,
    tables: Vec<String>,
}

/// A statement that is ready to run.
pub struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

impl QuerySession {
    /// # Errors
    /// The runtime can't be set up, e.g. because there is no folder to spill to.
    pub fn new(memory_bytes: usize) -> Result<Self, QueryError> {
        Self::with_rules(memory_bytes, rolling::rules(memory_bytes))
    }

    pub(super) fn with_rules(memory_bytes: usize, rules: Vec<Rule>) -> Result<Self, QueryError> {
        let partitions = std::thread::available_parallelism().map_or(MIN_PARTITIONS, |n| n.get().max(MIN_PARTITIONS));
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(true);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.pushdown_filters = true;
        options.sql_parser.collect_spans = true;
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), NAMED_CONSUMERS);
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc().map_err(QueryError::Session)?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_window_functions(indicators::window_functions())
            .with_default_features()
            .with_physical_optimizer_rules(rules)
            .build();
        Ok(Self { context: SessionContext::new_with_state(state), tables: Vec::new() })
    }

    /// Scans of small files are split like those of large ones.
    #[cfg(test)]
    pub(super) fn splitting_files(self) -> Self {
        let state = self.context.state_ref();
        state.write().config_mut().options_mut().optimizer.repartition_file_min_size = 0;
        self
    }

    /// Makes a table known under `name`, with its store under a URL of its own.
    ///
    /// # Errors
    /// The schema doesn't hold the partition column, or the name is taken.
    pub fn register(&mut self, name: &str, view: TableView) -> Result<(), QueryError> {
        let url = ObjectStoreUrl::parse(format!("tickhouse://{}", name.replace('_', "-")));
        let url = url.map_err(QueryError::Session)?;
        self.context.runtime_env().register_object_store(url.as_ref(), Arc::clone(&view.store));
        let table = LakeTable::new(view, url).map_err(QueryError::Session)?;
        self.context.register_table(name, Arc::new(table)).map_err(QueryError::Session)?;
        self.tables.push(name.to_owned());
        Ok(())
    }

    /// Plans a statement that only reads.
    ///
    /// # Errors
    /// The statement names what doesn't exist, doesn't type-check, or is no query.
    pub async fn plan(&self, parsed: &Parsed) -> Result<Planned, QueryError> {
        let frame = self.frame(parsed).await?;
        self.plan_frame(frame).await.map_err(|error| self.planning_error(parsed, &error))
    }

    pub(super) async fn frame(&self, parsed: &Parsed) -> Result<DataFrame, QueryError> {
        let state = self.context.state();
        let plan = state.statement_to_plan(parsed.statement().clone()).await;
        let plan = plan.map_err(|error| self.planning_error(parsed, &error))?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if read_only.verify_plan(&plan).is_err() {
            return Err(QueryError::Usage("only statements that read are allowed, such as SELECT".to_owned()));
        }
        Ok(DataFrame::new(state, plan))
    }

    pub(super) async fn plan_frame(&self, frame: DataFrame) -> Result<Planned, DataFusionError> {
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        Ok(Planned { plan, context })
    }

    fn planning_error(&self, parsed: &Parsed, error: &DataFusionError) -> QueryError {
        let state = self.context.state();
        let mut functions: Vec<String> = state.scalar_functions().keys().cloned().collect();
        functions.extend(state.aggregate_functions().keys().cloned());
        functions.extend(state.window_functions().keys().cloned());
        functions.sort();
        let known = KnownNames { tables: self.tables.clone(), functions };
        QueryError::Sql(Box::new(SqlProblem::planning(parsed.text(), error, &known)))
    }
}

impl Planned {
    pub fn schema(&self) -> SchemaRef {
        as_told(&self.plan.schema())
    }

    /// The plan as text, one operator a line.
    pub fn explain(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// # Errors
    /// An operator can't start.
    pub fn run(self) -> Result<SendableRecordBatchStream, QueryError> {
        let schema = self.schema();
        let batches = execute_stream(self.plan, self.context).map_err(|error| run_error(&error))?;
        let told = Arc::clone(&schema);
        let batches = batches.map(move |batch| {
            let batch = batch?;
            let columns = batch.columns().iter().zip(told.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(&told),
                columns.collect::<Result<_, ArrowError>>()?,
                &options,
            )?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// Views are for us: not every reader of Arrow and Parquet files knows them.
fn as_told(schema: &SchemaRef) -> SchemaRef {
    let told = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(told).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

pub(super) fn run_error(error: &DataFusionError) -> QueryError {
    let inner = innermost(error);
    let text = first_lines(inner);
    match inner {
        DataFusionError::ResourcesExhausted(_) => {
            let way_round = if text.contains("AggregateStream") { DISTINCT_OF_SEVERAL } else { "" };
            QueryError::Run(format!(
                "{text}\nraise --memory-limit or read less, as with --symbol, --from and --to{way_round}"
            ))
        }
        _ => QueryError::Run(text),
    }
}
