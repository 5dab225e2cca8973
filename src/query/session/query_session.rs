//! A DataFusion session that holds our tables and nothing else, reads only, and keeps to a memory limit.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{MemoryCatalogProviderList, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::lake::TableView;
use crate::query::corrections;
use crate::query::error::QueryError;
use crate::query::named::demand::LookBackSettings;
use crate::query::operators::case_literals::CaseLiteralsRule;
use crate::query::operators::indicators;
use crate::query::operators::latest::LastRows;
use crate::query::operators::rolling::RollingWindows;
use crate::query::session::progress::QueryProgress;
use crate::query::session::provider::{LakeFiles, LakeTable};
use crate::query::session::reads::{PlannedScan, PlannedScans, TableReads};
use crate::query::session::spill::SpillFolder;
use crate::query::session::tables::TableInfo;
use crate::query::session::union::{TailRows, UnionTable};
use crate::query::sql::describe::{self, description};
use crate::query::sql::problems::diagnose::KnownNames;
use crate::query::sql::problems::error_text::{first_lines, innermost};
use crate::query::sql::problems::problem::SqlProblem;
use crate::query::sql::statement::ParsedStatement;
use crate::util::suggest::did_you_mean;
use crate::util::units::size_text;

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
    tables: Vec<TableInfo>,
    scans: PlannedScans,
    memory_bytes: usize,
    spill: Option<Arc<SpillFolder>>,
    /// The tables of the lake.
    files: Vec<(String, Arc<LakeFiles>)>,
    pub(in crate::query) look_back: LookBackSettings,
}

/// What a statement answers, batch by batch. It stops when it is dropped.
pub type ResultBatches = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// A statement that is ready to run.
pub struct PlannedQuery {
    plan: Arc<dyn ExecutionPlan>,
    scans: Vec<PlannedScan>,
    context: Arc<TaskContext>,
    memory_bytes: usize,
    spill: Option<Arc<SpillFolder>>,
}

type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules and ours: those of ticks run once filters are in the scan and before sorts are planned.
fn rules(memory_bytes: usize) -> Vec<PhysicalRule> {
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in &mut rules {
        match rule.name() {
            name if name.starts_with("FilterPushdown") => {
                *rule = Arc::new(corrections::PushdownByUniqueNames(Arc::clone(rule)));
            }
            "aggregate_statistics" => *rule = Arc::new(corrections::UnfilteredStatistics(Arc::clone(rule))),
            _ => {}
        }
    }
    let at = rules.iter().position(|rule| rule.name() == "EnsureRequirements");
    let at = at.expect("DataFusion has a rule that plans sorts");
    let ours: [PhysicalRule; 3] =
        [Arc::new(LastRows), Arc::new(RollingWindows { memory_bytes }), Arc::new(corrections::ForgetKeys)];
    rules.splice(at..at, ours);
    rules.push(Arc::new(CaseLiteralsRule));
    rules.push(Arc::new(corrections::ChargeWindows));
    rules.push(Arc::new(corrections::CancellableJoins));
    rules
}

impl QuerySession {
    /// # Errors
    /// The runtime can't be set up, e.g. because there is no folder to spill to.
    pub fn new(memory_bytes: usize) -> Result<Self, QueryError> {
        Self::with_rules(memory_bytes, rules(memory_bytes))
    }

    pub(in crate::query) fn with_rules(memory_bytes: usize, rules: Vec<PhysicalRule>) -> Result<Self, QueryError> {
        let partitions = std::thread::available_parallelism().map_or(MIN_PARTITIONS, |n| n.get().max(MIN_PARTITIONS));
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(true);
        let options = config.options_mut();
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.pushdown_filters = true;
        options.sql_parser.collect_spans = true;
        corrections::settings(options);
        let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), NAMED_CONSUMERS);
        // Without a folder of ours, DataFusion says what is missing once it is needed.
        let spill = SpillFolder::new().ok().map(Arc::new);
        let mode = spill.as_ref().map(|folder| DiskManagerMode::Directories(vec![folder.path().to_owned()]));
        let disk = DiskManagerBuilder::default().with_mode(mode.unwrap_or_default());
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk);
        let runtime = runtime.build_arc().map_err(QueryError::Session)?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_window_functions(indicators::window_functions())
            .with_default_features()
            .with_optimizer_rules(corrections::optimizer_rules())
            .with_analyzer_rules(corrections::analyzer_rules())
            .with_physical_optimizer_rules(rules);
        let mut state = state.build();
        corrections::register(&mut state).map_err(QueryError::Session)?;
        let context = SessionContext::new_with_state(state);
        Ok(Self {
            context,
            tables: Vec::new(),
            scans: PlannedScans::default(),
            memory_bytes,
            spill,
            files: Vec::new(),
            look_back: LookBackSettings::default(),
        })
    }

    /// Scans of small files are split like those of large ones.
    #[cfg(test)]
    pub(in crate::query) fn splitting_files(self) -> Self {
        let state = self.context.state_ref();
        state.write().config_mut().options_mut().optimizer.repartition_file_min_size = 0;
        self
    }

    /// Makes a table known under `name`, with its store under a URL of its own.
    ///
    /// # Errors
    /// The schema doesn't hold the partition column, or the name is taken.
    pub fn register(&mut self, name: &str, view: TableView) -> Result<(), QueryError> {
        self.register_files(name, Arc::new(LakeFiles::of(view).map_err(QueryError::Session)?), None)
    }

    /// Files that are known already, with the rows beyond them.
    ///
    /// # Errors
    /// The name is taken.
    pub(in crate::query) fn register_files(
        &mut self,
        name: &str,
        files: Arc<LakeFiles>,
        tail: Option<Arc<TailRows>>,
    ) -> Result<(), QueryError> {
        let url = ObjectStoreUrl::parse(format!("tickhouse://{}", name.replace('_', "-")));
        let url = url.map_err(QueryError::Session)?;
        let view = files.view();
        self.context.runtime_env().register_object_store(url.as_ref(), Arc::clone(&view.store));
        let in_files: Option<u64> = view.files.iter().map(|file| file.rows).sum();
        let rows = in_files.map(|rows| rows + tail.as_ref().map_or(0, |tail| tail.rows()) as u64);
        let info = TableInfo {
            name: name.to_owned(),
            schema: Arc::clone(files.schema()),
            rows,
            files: view.files.len(),
            times: files.times(),
        };
        self.files.push((name.to_owned(), Arc::clone(&files)));
        let lake = LakeTable::new(name, Arc::clone(&files), url, self.scans.clone());
        let table: Arc<dyn TableProvider> = match tail {
            Some(tail) => Arc::new(UnionTable::new(lake, files, tail)),
            None => Arc::new(lake),
        };
        self.context.register_table(name, table).map_err(QueryError::Session)?;
        self.tables.push(info);
        Ok(())
    }

    /// A session without tables that shares memory, spill folder and the footers that were read.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.context.state();
        let config = state.config().clone().with_create_default_catalog_and_schema(true);
        let state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .build();
        Self {
            context: SessionContext::new_with_state(state),
            tables: Vec::new(),
            scans: PlannedScans::default(),
            memory_bytes: self.memory_bytes,
            spill: self.spill.clone(),
            files: Vec::new(),
            look_back: self.look_back,
        }
    }

    /// The files of a table of the lake.
    pub(in crate::query) fn files_of(&self, table: &str) -> Option<&Arc<LakeFiles>> {
        self.files.iter().find(|(name, _)| name == table).map(|(_, files)| files)
    }

    pub(in crate::query) fn context(&self) -> &SessionContext {
        &self.context
    }

    pub(in crate::query) fn add_table(&mut self, table: TableInfo) {
        self.tables.push(table);
    }

    /// In the order of registration.
    pub fn tables(&self) -> &[TableInfo] {
        &self.tables
    }

    /// # Errors
    /// There is no such table; the error suggests one.
    pub fn table(&self, name: &str) -> Result<&TableInfo, QueryError> {
        let found = self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.tables.iter().map(|table| table.name.as_str()).collect();
            let hint = did_you_mean(name, names.iter().copied());
            QueryError::usage(format!("there is no table '{name}'{hint}\n  tables: {}", names.join(", ")))
        })
    }

    /// Names of all functions, sorted.
    pub fn functions(&self) -> Vec<String> {
        let state = self.context.state();
        let mut functions: Vec<String> = state.scalar_functions().keys().cloned().collect();
        functions.extend(state.aggregate_functions().keys().cloned());
        functions.extend(state.window_functions().keys().cloned());
        functions.sort();
        functions
    }

    /// Plans a statement whose rows before its range are bounded, or needn't be.
    pub(in crate::query) async fn plan_as_is(&self, parsed: &ParsedStatement) -> Result<PlannedQuery, QueryError> {
        let frame = self.frame(parsed).await?;
        self.plan_frame(frame).await.map_err(|error| self.planning_error(parsed, &error))
    }

    pub(in crate::query) async fn frame(&self, parsed: &ParsedStatement) -> Result<DataFrame, QueryError> {
        let only_reading = || QueryError::Usage("only statements that read are allowed, such as SELECT".to_owned());
        if parsed.writes() {
            return Err(only_reading());
        }
        if parsed.shows_tables() {
            let tables = describe::tables(&self.context, &self.tables, &parsed.queries);
            return tables.map_err(|error| self.planning_error(parsed, &error));
        }
        let state = self.context.state();
        let plan = state.statement_to_plan(parsed.named()).await;
        let plan = plan.map_err(|error| self.planning_error(parsed, &error))?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if read_only.verify_plan(&plan).is_err() {
            return Err(only_reading());
        }
        if let Some(described) = description(&self.context, &plan, parsed.is_described)
            .map_err(|error| self.planning_error(parsed, &error))?
        {
            return Ok(described);
        }
        if plan.schema().fields().is_empty() {
            return Err(QueryError::Usage("the statement names no columns: write SELECT * FROM ..".to_owned()));
        }
        Ok(DataFrame::new(state, plan))
    }

    pub(in crate::query) async fn plan_frame(&self, frame: DataFrame) -> Result<PlannedQuery, DataFusionError> {
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await;
        let scans = self.scans.take();
        Ok(PlannedQuery { plan: plan?, scans, context, memory_bytes: self.memory_bytes, spill: self.spill.clone() })
    }

    fn planning_error(&self, parsed: &ParsedStatement, error: &DataFusionError) -> QueryError {
        let known = KnownNames {
            tables: self.tables.iter().map(|table| table.name.clone()).collect(),
            queries: parsed.queries.clone(),
            functions: self.functions(),
        };
        QueryError::Sql(Box::new(SqlProblem::planning(parsed.text(), error, &known)))
    }
}

impl PlannedQuery {
    pub fn schema(&self) -> SchemaRef {
        without_views(&self.plan.schema())
    }

    /// The plan as text, one operator a line.
    pub fn explain(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// What each scan reads of its table and leaves out. Reads the footers of the files that it opens.
    ///
    /// # Errors
    /// A footer can't be read.
    pub async fn reads(&self) -> Result<Vec<TableReads>, QueryError> {
        let mut reads = Vec::with_capacity(self.scans.len());
        for scan in &self.scans {
            reads.push(scan.reads_in(&self.plan).await.map_err(|error| run_error(&error))?);
        }
        Ok(reads)
    }

    /// The progress of the run that follows.
    pub fn progress(&self) -> QueryProgress {
        QueryProgress::of(&self.plan)
    }

    /// As [`Self::run`], for those who know nothing of what runs it.
    ///
    /// # Errors
    /// An operator can't start.
    pub fn batches(self) -> Result<ResultBatches, QueryError> {
        Ok(self.run()?.map_err(|error| run_error(&error)).boxed())
    }

    /// # Errors
    /// An operator can't start.
    pub fn run(self) -> Result<SendableRecordBatchStream, QueryError> {
        let limit = self.memory_bytes;
        let schema = self.schema();
        let batches = execute_stream(self.plan, self.context).map_err(|error| run_error(&name_limit(error, limit)))?;
        let (output_schema, spill) = (Arc::clone(&schema), self.spill);
        let batches = batches.map(move |batch| {
            let _needed = &spill;
            let batch = batch.map_err(|error| name_limit(error, limit))?;
            let columns = batch.columns().iter().zip(output_schema.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(&output_schema),
                columns.collect::<Result<_, ArrowError>>()?,
                &options,
            )?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// DataFusion reports how much memory was left, not how much there was.
fn name_limit(error: DataFusionError, limit: usize) -> DataFusionError {
    match innermost(&error) {
        DataFusionError::ResourcesExhausted(text) => DataFusionError::ResourcesExhausted(format!(
            "it needs more memory than --memory-limit {} allows\n  {}",
            size_text(limit as u64),
            text.lines().next_back().unwrap_or_default().trim().trim_start_matches("Error: ")
        )),
        _ => error,
    }
}

/// Views are for us: not every reader of Arrow and Parquet files knows them.
fn without_views(schema: &SchemaRef) -> SchemaRef {
    let field_without_views = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(field_without_views).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

pub(in crate::query) fn run_error(error: &DataFusionError) -> QueryError {
    let inner = innermost(error);
    let text = first_lines(inner);
    match inner {
        DataFusionError::ResourcesExhausted(message) => {
            let way_round = if error.to_string().contains("AggregateStream") { DISTINCT_OF_SEVERAL } else { "" };
            QueryError::Memory(format!(
                "{message}\n  raise --memory-limit or read less, as with --symbol, --from and --to{way_round}"
            ))
        }
        DataFusionError::ObjectStore(missing) if matches!(**missing, object_store::Error::NotFound { .. }) => {
            QueryError::Run(format!(
                "{text}\n  a data file of this version is gone: vacuum deletes files that newer versions don't need"
            ))
        }
        _ => QueryError::Run(text),
    }
}
