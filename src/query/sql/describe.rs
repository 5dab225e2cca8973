//! DESCRIBE, with SQL types instead of Arrow types, and SHOW TABLES, without DataFusion's own views.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};

use crate::query::session::tables::{TableInfo, sql_type};

/// The columns that the plan describes, or has where it is `described` itself; `None` of a plan that is something else.
pub(in crate::query) fn description(
    context: &SessionContext,
    plan: &LogicalPlan,
    described: bool,
) -> Result<Option<DataFrame>, DataFusionError> {
    let schema = match plan {
        LogicalPlan::DescribeTable(table) => &table.schema,
        plan if described => plan.schema().inner(),
        _ => return Ok(None),
    };
    let fields = || schema.fields().iter();
    let names: StringArray = fields().map(|field| Some(field.name())).collect();
    let types: StringArray = fields().map(|field| Some(sql_type(field.data_type()))).collect();
    let nullable: StringArray = fields().map(|field| Some(if field.is_nullable() { "YES" } else { "NO" })).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("column_name", Arc::new(names)), ("data_type", Arc::new(types)), ("is_nullable", Arc::new(nullable))];
    context.read_batch(RecordBatch::try_from_iter(columns)?).map(Some)
}

/// What a statement can select from.
pub(in crate::query) fn tables(
    context: &SessionContext,
    tables: &[TableInfo],
    queries: &[String],
) -> Result<DataFrame, DataFusionError> {
    let tables = tables.iter().map(|table| (table.name.as_str(), "table"));
    let queries = queries.iter().map(|query| (query.as_str(), "named query"));
    let (names, kinds): (Vec<&str>, Vec<&str>) = tables.chain(queries).unzip();
    let columns: [(&str, ArrayRef); 2] =
        [("table_name", Arc::new(StringArray::from(names))), ("table_type", Arc::new(StringArray::from(kinds)))];
    context.read_batch(RecordBatch::try_from_iter(columns)?)
}
