//! The rule that puts [`LastTicksExec`] below windows of which only the first rows, newest first, are wanted.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::{collect_columns, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, WindowExpr};

use super::exec::LastTicksExec;
use crate::query::operators::rolling::{
    OrderKeys, SCHEME, SYMBOL, distance_of, function_of, origin, union_of, windows_of,
};

/// Rows of each symbol for which looking for them pays.
const MOST_ROWS: usize = 1000;

#[derive(Debug)]
pub(in crate::query) struct LastRows;

impl PhysicalOptimizerRule for LastRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = config.execution.target_partitions;
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            let Some(rows) = rows_wanted(filter) else { return Ok(Transformed::no(node)) };
            Arc::clone(&node).transform_down(|node| match node.is::<DataSourceExec>() {
                true => {
                    let last = Arc::new(LastTicksExec::new(node, rows, partitions));
                    Ok(Transformed::new(last, true, TreeNodeRecursion::Jump))
                }
                false => Ok(Transformed::no(node)),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "LastRows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Rows of each symbol, newest first, that the filter lets pass, and those that windows over these read.
fn rows_wanted(filter: &FilterExec) -> Option<usize> {
    let (at, most) = split_conjunction(filter.predicate()).into_iter().find_map(at_most)?;
    let ahead = rows_ahead(filter.input(), Some(at))?;
    Some(most.checked_add(ahead)?).filter(|rows| (1..=MOST_ROWS).contains(rows))
}

/// `column <= n`, as the index of the column and the number.
fn at_most(expr: &Arc<dyn PhysicalExpr>) -> Option<(usize, usize)> {
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    let column = binary.left().downcast_ref::<Column>()?.index();
    let number = match binary.right().downcast_ref::<Literal>()?.value() {
        ScalarValue::UInt64(Some(number)) => usize::try_from(*number).ok()?,
        ScalarValue::Int64(Some(number)) => usize::try_from(*number).ok()?,
        _ => return None,
    };
    match binary.op() {
        Operator::Eq | Operator::LtEq => Some((column, number)),
        Operator::Lt => Some((column, number.checked_sub(1)?)),
        _ => None,
    }
}

/// How far windows look ahead, if all below is windows of rows newest first, and what keeps the newest rows of a
/// symbol. `number` is the place of a row number that is to be found on the way.
fn rows_ahead(plan: &Arc<dyn ExecutionPlan>, number: Option<usize>) -> Option<usize> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let number = match number {
            Some(at) => Some(projection.expr().get(at)?.expr.downcast_ref::<Column>()?.index()),
            None => None,
        };
        return rows_ahead(projection.input(), number);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let keeps = number.is_none() && filter.projection().is_none() && filter.fetch().is_none();
        let name = |column: &Column| origin(filter.input(), column.index());
        return (keeps && keeps_newest(filter.predicate(), name)).then(|| rows_ahead(filter.input(), None))?;
    }
    // All rows of the tail are read; of the files, those that can be among the last of these.
    if let Some((files, _)) = union_of(plan) {
        return rows_ahead(files, number);
    }
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        let (config, parquet) = source.downcast_to_file_source::<ParquetSource>()?;
        let is_ours = config.object_store_url.as_str().starts_with(SCHEME) && config.limit.is_none();
        let has_reader = parquet.parquet_file_reader_factory().is_some();
        let name = |column: &Column| Some(column.name().to_owned());
        let keeps = parquet.filter().is_none_or(|predicate| keeps_newest(&predicate, name));
        return (number.is_none() && is_ours && has_reader && keeps).then_some(0);
    }
    let (exprs, input) = windows_of(plan)?;
    let ahead: Option<Vec<usize>> = exprs.iter().map(|expr| ahead(expr.as_ref(), input)).collect();
    let ahead = ahead?.into_iter().max()?;
    let before = input.schema().fields().len();
    let number = match number {
        Some(at) if at >= before => {
            let is_number = function_of(exprs.get(at - before)?.as_ref())?.fun().name() == "row_number";
            is_number.then_some(None)?
        }
        other => other,
    };
    rows_ahead(input, number)?.checked_add(ahead)
}

/// The number of following rows that a window over the rows of a symbol, newest first, reads.
fn ahead(expr: &dyn WindowExpr, input: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let named = |expr: &Arc<dyn PhysicalExpr>| origin(input, expr.downcast_ref::<Column>()?.index());
    let [partition] = expr.partition_by() else { return None };
    let order = expr.order_by();
    let newest_first = order
        .iter()
        .zip(OrderKeys::NAMES)
        .all(|(sort, name)| sort.options.descending && named(&sort.expr).is_some_and(|origin| origin == name));
    if order.is_empty() || order.len() > OrderKeys::NAMES.len() || !newest_first || named(partition)? != SYMBOL {
        return None;
    }
    let function = function_of(expr)?;
    match function.fun().name() {
        "row_number" => Some(0),
        // A negative distance, which has none here, would be a look ahead.
        "lag" => distance_of(function).map(|_| 0),
        "lead" => distance_of(function),
        _ => None,
    }
}

/// Of the rows of a symbol it keeps the newest, or all, or none.
fn keeps_newest(predicate: &Arc<dyn PhysicalExpr>, name: impl Fn(&Column) -> Option<String>) -> bool {
    split_conjunction(predicate).into_iter().all(|part| {
        let names: Option<Vec<String>> = collect_columns(part).iter().map(&name).collect();
        match names.as_deref() {
            Some([name]) if name == SYMBOL => {
                let plain =
                    part.exists(|expr| Ok(!expr.is::<BinaryExpr>() && !expr.is::<Column>() && !expr.is::<Literal>()));
                plain.is_ok_and(|other| !other)
            }
            Some([name]) if name == OrderKeys::NAMES[0] => is_lower_bound(part),
            _ => false,
        }
    })
}

/// `column >= literal`.
fn is_lower_bound(part: &Arc<dyn PhysicalExpr>) -> bool {
    part.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
        let is_known = binary.right().downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null());
        binary.left().is::<Column>() && is_known && matches!(binary.op(), Operator::Gt | Operator::GtEq)
    })
}
