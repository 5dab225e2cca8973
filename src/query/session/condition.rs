//! A condition on named numbers, in SQL, that is planned once and evaluated on many rows at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;

use crate::query::error::QueryError;
use crate::query::session::query_session::{QuerySession, run_error};
use crate::query::sql::problems::diagnose::KnownNames;
use crate::query::sql::problems::problem::SqlProblem;
use crate::query::sql::problems::source_location::SourceLocation;
use crate::query::sql::statement::ParsedStatement;

/// Conditions are planned as statements on a table of this name.
const TABLE: &str = "live";
const BEFORE: &str = "SELECT (\n";
/// Conditions hold no more than a few comparisons.
const MAX_BYTES: usize = 4_096;
const MEMORY_BYTES: usize = 16 << 20;

/// A planned condition.
#[derive(Debug, Clone)]
pub struct Condition {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

/// Plans conditions on doubles of these names.
pub struct ConditionPlanner {
    session: QuerySession,
    schema: SchemaRef,
}

impl ConditionPlanner {
    /// # Errors
    /// The session can't be set up.
    pub fn on(names: &[&str]) -> Result<Self, QueryError> {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let session = QuerySession::new(MEMORY_BYTES)?;
        let table = Arc::new(EmptyTable::new(Arc::clone(&schema)));
        session.context().register_table(TABLE, table).map_err(QueryError::Session)?;
        Ok(Self { session, schema })
    }

    /// # Errors
    /// The text is no condition on the names; the error shows where and lists them.
    pub async fn plan(&self, text: &str) -> Result<Condition, QueryError> {
        if text.trim().is_empty() {
            return Err(QueryError::usage("the condition is empty: write one, as in close > 100".to_owned()));
        }
        if text.len() > MAX_BYTES {
            return Err(QueryError::usage(format!("the condition is longer than {MAX_BYTES} bytes")));
        }
        let sql = format!("{BEFORE}{text}\n) FROM {TABLE}");
        let parsed = ParsedStatement::parse(&sql).map_err(|error| in_condition(text, error))?;
        let state = self.session.context().state();
        let plan = state.statement_to_plan(parsed.statement().clone()).await;
        let known =
            || KnownNames { tables: vec![TABLE.to_owned()], queries: Vec::new(), functions: self.session.functions() };
        let problem =
            |error: &_| in_condition(text, QueryError::Sql(Box::new(SqlProblem::planning(&sql, error, &known()))));
        let plan = plan.map_err(|error| problem(&error))?;
        let is_plain = |plan: &LogicalPlan| matches!(plan, LogicalPlan::TableScan(_));
        let expr = match &plan {
            LogicalPlan::Projection(projection) if projection.expr.len() == 1 && is_plain(&projection.input) => {
                projection.expr[0].clone().unalias()
            }
            _ => return Err(QueryError::usage(format!("'{text}' is no condition: write one, as in close > 100"))),
        };
        let mut moody = None;
        let apply = expr.apply(|expr| {
            if let Expr::ScalarFunction(function) = expr
                && function.func.signature().volatility != Volatility::Immutable
            {
                moody = Some(function.name().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        apply.map_err(|error| problem(&error))?;
        if let Some(function) = moody {
            let said =
                format!("'{text}' is no condition: {function}() differs between evaluations, and the same ticks");
            return Err(QueryError::usage(format!("{said} must give the same result")));
        }
        let schema = DFSchema::try_from_qualified_schema(TABLE, &self.schema).map_err(|error| problem(&error))?;
        let expr = self.session.context().create_physical_expr(expr, &schema).map_err(|error| problem(&error))?;
        match expr.data_type(&self.schema).map_err(|error| problem(&error))? {
            DataType::Boolean | DataType::Null => {
                let condition = Condition { expr, schema: Arc::clone(&self.schema) };
                // Texts are made numbers only now.
                let one: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
                condition.evaluate(vec![one; self.schema.fields().len()], 1)?;
                Ok(condition)
            }
            other => Err(QueryError::usage(format!(
                "'{text}' is no condition: it is a {}; compare it with something, as in {text} > 0",
                crate::query::session::tables::sql_type(&other)
            ))),
        }
    }
}

/// The condition stands in the second line of the statement.
fn in_condition(text: &str, error: QueryError) -> QueryError {
    let QueryError::Sql(mut problem) = error else { return error };
    let lines = text.lines().count() as u64;
    let place = problem.source_location.map(|place| SourceLocation { line: place.line.saturating_sub(1), ..place });
    // An error at the end of the condition is reported at the surrounding words.
    problem.source_location = place.filter(|place| (1..=lines).contains(&place.line));
    QueryError::Sql(problem)
}

impl Condition {
    /// The indices of the names that the condition uses.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        collect_columns(&self.expr).into_iter().map(|column| column.index())
    }

    /// The columns in the order of the names; unused ones may be anything of the same length.
    ///
    /// # Errors
    /// The condition can't be evaluated on one of the rows, e.g. because it divides an integer by zero.
    pub fn evaluate(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<BooleanArray, QueryError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        let batch = batch.map_err(|error| QueryError::Run(error.to_string()))?;
        let value = self.expr.evaluate(&batch).and_then(|value| value.into_array(rows));
        let value = value.map_err(|error| run_error(&error))?;
        Ok(match value.data_type() {
            DataType::Null => BooleanArray::new_null(value.len()),
            _ => value.as_boolean().clone(),
        })
    }

    /// As [`Self::evaluate`]; unknown for the rows on which it can't be evaluated, and whether there were none. The
    /// reason is not returned: it would contain a value of a tick.
    pub fn evaluate_each(&self, columns: &[ArrayRef], rows: usize) -> (BooleanArray, bool) {
        if let Ok(found) = self.evaluate(columns.to_vec(), rows) {
            return (found, true);
        }
        let one = |row: usize| {
            let columns = columns.iter().map(|column| column.slice(row, 1)).collect();
            let found = self.evaluate(columns, 1).ok()?;
            found.is_valid(0).then(|| found.value(0))
        };
        ((0..rows).map(one).collect(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn problem(text: &str) -> String {
        ConditionPlanner::on(&["close", "volume", "volume_avg_10"]).unwrap().plan(text).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_condition_is_true_false_or_unknown() {
        let conditions = ConditionPlanner::on(&["close", "volume"]).unwrap();
        let condition = conditions.plan("close > 10 AND volume > 2 * close").await.unwrap();
        let close: ArrayRef = Arc::new(Float64Array::from(vec![Some(9.0), Some(11.0), Some(11.0), None]));
        let volume: ArrayRef = Arc::new(Float64Array::from(vec![Some(99.0), Some(99.0), Some(12.0), Some(1.0)]));
        let found = condition.evaluate(vec![close, volume], 4).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [Some(false), Some(true), Some(false), None]);
        assert_eq!(condition.columns().collect::<std::collections::BTreeSet<_>>(), [0, 1].into());
    }

    #[tokio::test]
    async fn what_is_wrong_is_shown_where_it_stands() {
        let text = problem("close > 1 AND volum > 2").await;
        assert!(
            text.contains("did you mean 'volume'?") && text.contains("\n  1 | close > 1 AND volum > 2\n"),
            "{text}"
        );
        assert!(text.contains("\n    |               ^^^^^"), "{text}");
        assert!(problem("close >").await.contains("xpected"));
        assert!(problem("close + 1").await.contains("is no condition"));
        assert!(!problem("close > 1, volume > 2").await.contains("FROM live"));
        assert!(problem("max(close) > 1").await.contains("is no condition"));
        assert!(problem("close > (SELECT 1)").await.contains("ubquery"));
        assert!(problem("close > 'a lot'").await.contains("a lot"));
        assert!(problem("nosuch(close) > 1").await.contains("nosuch"));
        assert!(problem("close > 1 OR random() > 0.5").await.contains("random() differs between evaluations"));
        assert!(
            problem("close > 1 AND now() > TIMESTAMP '2026-01-01'").await.contains("now() differs between evaluations")
        );
    }

    #[tokio::test]
    async fn a_row_that_can_t_be_evaluated_is_unknown() {
        let conditions = ConditionPlanner::on(&["close", "volume"]).unwrap();
        let condition = conditions.plan("CAST(volume AS INT) > 5").await.unwrap();
        let volume: ArrayRef = Arc::new(Float64Array::from(vec![Some(9.0), Some(1e12), Some(1.0), None]));
        let columns = [Arc::clone(&volume), volume];
        assert!(condition.evaluate(columns.to_vec(), 4).is_err());
        let (found, all) = condition.evaluate_each(&columns, 4);
        assert_eq!(found.iter().collect::<Vec<_>>(), [Some(true), None, Some(false), None]);
        assert!(!all);
    }
}
