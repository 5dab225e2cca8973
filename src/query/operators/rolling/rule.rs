//! The rule that puts the rolling operator in the place of DataFusion's window operators.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, WindowExpr};

use super::exchange::SymbolSplitter;
use super::exec::{PartitionedBy, RollingExec};
use super::footer::{MANY_ROWS, SortedByFooter};
use super::merge::OrderKeys;
use super::order::{FilePiece, TickOrderExec};
use super::span::{FileSpan, spans};
use super::symbols::SYMBOL;
use super::tail::TailMergeExec;
use super::windows::RollingWindow;
use crate::query::session::union::TailExec;

/// Part of the session's memory that overlapping files may take: they are queued, held and put together.
const HELD_PART: u64 = 4;
/// Bytes of a text, about.
const TEXT_BYTES: usize = 16;
/// Scheme of the URLs under which the tables of a lake are registered.
pub(in crate::query) const SCHEME: &str = "tickhouse://";
/// Follows the time: within a symbol it never goes back.
const TRADE_DATE: &str = "trade_date";

/// Runs once filters are in the scan and before sorts are planned.
#[derive(Debug)]
pub(in crate::query) struct RollingWindows {
    /// Of the session.
    pub memory_bytes: usize,
}

#[derive(Clone, Copy)]
struct RollingLimits {
    partitions: usize,
    /// Bytes of the files that overlap.
    held_bytes: u64,
}

impl PhysicalOptimizerRule for RollingWindows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let held_bytes = self.memory_bytes as u64 / HELD_PART;
        let limits = RollingLimits { partitions: config.execution.target_partitions, held_bytes };
        plan.transform_up(|node| match rolled(&node, limits)? {
            Some(rolling) => Ok(Transformed::yes(rolling)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "RollingWindows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rolling operator in the place of a window operator, if it knows all of its expressions.
fn rolled(node: &Arc<dyn ExecutionPlan>, limits: RollingLimits) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some((exprs, input)) = windows_of(node) else { return Ok(None) };
    let schema = input.schema();
    let known: Option<Vec<RollingWindow>> =
        exprs.iter().map(|expr| RollingWindow::of(expr.as_ref(), &schema)).collect();
    let by: Option<Vec<PartitionedBy>> = exprs.iter().map(|expr| partitioned_by(expr.as_ref(), input)).collect();
    let (Some(windows), Some(by)) = (known, by) else { return Ok(None) };
    let Some(by) = by.first() else { return Ok(None) };
    let Some(ordered) = ordered(input, limits)? else { return Ok(None) };
    Ok(Some(Arc::new(RollingExec::new(ordered, windows, *by, node.schema()))))
}

/// The expressions of a window operator, and its input.
type WindowOperator<'a> = (&'a [Arc<dyn WindowExpr>], &'a Arc<dyn ExecutionPlan>);

/// `None` for another operator.
pub(in crate::query) fn windows_of(plan: &Arc<dyn ExecutionPlan>) -> Option<WindowOperator<'_>> {
    if let Some(bounded) = plan.downcast_ref::<BoundedWindowAggExec>() {
        return Some((bounded.window_expr(), bounded.input()));
    }
    let unbounded = plan.downcast_ref::<WindowAggExec>()?;
    Some((unbounded.window_expr(), unbounded.input()))
}

/// By symbol, or by symbol and trade date, if the expression is ordered as ticks are.
fn partitioned_by(expr: &dyn WindowExpr, input: &Arc<dyn ExecutionPlan>) -> Option<PartitionedBy> {
    let column = |expr: &Arc<dyn PhysicalExpr>| Some(expr.downcast_ref::<Column>()?.index());
    let (mut symbol, mut trade_date) = (None, None);
    for partition in expr.partition_by() {
        let at = column(partition)?;
        match origin(input, at)?.as_str() {
            SYMBOL => symbol = Some(at),
            TRADE_DATE => trade_date = Some(at),
            _ => return None,
        }
    }
    let order = expr.order_by();
    let keys = order.iter().zip(OrderKeys::NAMES).all(|(sort, name)| {
        let is_key = column(&sort.expr).and_then(|at| origin(input, at)).is_some_and(|origin| origin == name);
        is_key && !sort.options.descending
    });
    let fits = !order.is_empty() && order.len() <= OrderKeys::NAMES.len() && keys;
    fits.then_some(PartitionedBy { symbol: symbol?, trade_date })
}

/// Name in the table of a column that is passed on as it is.
pub(in crate::query) fn origin(plan: &Arc<dyn ExecutionPlan>, at: usize) -> Option<String> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let column = projection.expr().get(at)?.expr.downcast_ref::<Column>()?;
        return origin(projection.input(), column.index());
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return filter.projection().is_none().then(|| origin(filter.input(), at))?;
    }
    if let Some(rolling) = plan.downcast_ref::<RollingExec>() {
        let is_input = at < rolling.input().schema().fields().len();
        return is_input.then(|| origin(rolling.input(), at))?;
    }
    if let Some((_, input)) = windows_of(plan) {
        let is_input = at < input.schema().fields().len();
        return is_input.then(|| origin(input, at))?;
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        let mut names = union.inputs().iter().map(|input| origin(input, at));
        let first = names.next()??;
        return names.all(|name| name.as_ref() == Some(&first)).then_some(first);
    }
    let is_ordered = plan.is::<TickOrderExec>() || plan.is::<TailMergeExec>();
    let is_leaf = is_ordered || plan.is::<DataSourceExec>() || plan.is::<TailExec>();
    is_leaf.then(|| plan.schema().fields().get(at).map(|field| field.name().clone()))?
}

/// The plan with ticks in order at its leaf; `None` if anything in it could break the order.
fn ordered(plan: &Arc<dyn ExecutionPlan>, limits: RollingLimits) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<RollingExec>() {
        return Ok(Some(Arc::clone(plan)));
    }
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        return ticks_in_order(source, limits);
    }
    if let Some(tail) = plan.downcast_ref::<TailExec>() {
        return Ok(merged(None, tail, limits));
    }
    if let Some((files, tail)) = union_of(plan) {
        return Ok(ordered(files, limits)?.and_then(|files| merged(Some(files), tail, limits)));
    }
    let keeps =
        plan.is::<ProjectionExec>() || plan.downcast_ref::<FilterExec>().is_some_and(|filter| filter.fetch().is_none());
    let [child] = plan.children()[..] else { return Ok(None) };
    if !keeps {
        return Ok(None);
    }
    match ordered(child, limits)? {
        Some(child) => {
            let properties = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Arc::clone(plan).replace_children(vec![child], properties).map(Some)
        }
        None => Ok(None),
    }
}

/// The files and the tail of a union of both.
pub(in crate::query) fn union_of(plan: &Arc<dyn ExecutionPlan>) -> Option<(&Arc<dyn ExecutionPlan>, &TailExec)> {
    let [files, tail] = &plan.downcast_ref::<UnionExec>()?.inputs()[..] else { return None };
    // One that a statement wrote has scans of its own on both sides.
    let is_scan = plan_has(files, &|plan| plan.is::<TailExec>() || plan.is::<UnionExec>());
    tail.downcast_ref::<TailExec>().filter(|_| !is_scan).map(|tail| (files, tail))
}

fn plan_has(plan: &Arc<dyn ExecutionPlan>, is: &impl Fn(&Arc<dyn ExecutionPlan>) -> bool) -> bool {
    is(plan) || plan.children().into_iter().any(|child| plan_has(child, is))
}

fn merged(
    files: Option<Arc<dyn ExecutionPlan>>,
    tail: &TailExec,
    limits: RollingLimits,
) -> Option<Arc<dyn ExecutionPlan>> {
    let merge = TailMergeExec::new(files, tail.clone(), limits.partitions)?;
    Some(Arc::new(merge))
}

fn ticks_in_order(source: &DataSourceExec, limits: RollingLimits) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some((config, parquet)) = source.downcast_to_file_source::<ParquetSource>() else { return Ok(None) };
    let schema = source.schema();
    let (Some((symbol, _)), Some(keys)) = (schema.column_with_name(SYMBOL), OrderKeys::of(&schema)) else {
        return Ok(None);
    };
    let Some(reader) = parquet.parquet_file_reader_factory() else { return Ok(None) };
    if !config.object_store_url.as_str().starts_with(SCHEME) || config.limit.is_some() {
        return Ok(None);
    }
    let row_bytes = schema.fields().iter().map(|field| field.data_type().primitive_width().unwrap_or(TEXT_BYTES));
    let row_bytes = row_bytes.sum::<usize>() as u64;
    let groups = groups_of(config)?;
    if groups.iter().any(|group| held_rows(group) * row_bytes > limits.held_bytes) {
        return Ok(None);
    }
    let pieces: Arc<[FilePiece]> = pieces_of(groups).into();
    let groups = pieces.iter().map(|piece| FileGroup::new(vec![piece.file.clone()])).collect();
    // A piece must be read by the partition that asked for it, and stay the piece that it is.
    let partitioning = Partitioning::UnknownPartitioning(pieces.len());
    let config = FileScanConfigBuilder::from(config.clone())
        .with_file_groups(groups)
        .with_preserve_order(true)
        .with_output_partitioning(Some(partitioning))
        .build();
    let splitter = SymbolSplitter::new(schema, symbol, limits.partitions);
    let input = DataSourceExec::from_data_source(config);
    Ok(Some(Arc::new(TickOrderExec::new(input, pieces, Arc::clone(reader), splitter, keys))))
}

/// All files in order of time, those that overlap in one group.
fn groups_of(config: &FileScanConfig) -> Result<Vec<Vec<FileSpan>>> {
    let mut spans = spans(config)?;
    spans.sort_by(|a, b| (a.first, a.last, a.path()).cmp(&(b.first, b.last, b.path())));
    let mut groups: Vec<Vec<FileSpan>> = Vec::new();
    let mut reached = i64::MIN;
    for span in spans {
        let last = span.last;
        match groups.last_mut() {
            Some(group) if span.first <= reached => group.push(span),
            _ => groups.push(vec![span]),
        }
        reached = reached.max(last);
    }
    Ok(groups)
}

/// The most rows that are held at once: those of files that reach into the next ones.
fn held_rows(group: &[FileSpan]) -> u64 {
    if let [one] = group
        && one.file.extension::<SortedByFooter>().is_some_and(|says| says.0)
    {
        return 0;
    }
    let (mut held, mut most) = (0, 0);
    let mut ends: BinaryHeap<Reverse<(i64, u64)>> = BinaryHeap::new();
    for span in group {
        while let Some(Reverse((last, rows))) = ends.peek().copied()
            && last < span.first
        {
            held -= rows;
            ends.pop();
        }
        let rows = span.rows.unwrap_or(MANY_ROWS);
        ends.push(Reverse((span.last, rows)));
        held += rows;
        most = most.max(held);
    }
    most
}

/// The files of each group, large ones in pieces.
fn pieces_of(groups: Vec<Vec<FileSpan>>) -> Vec<FilePiece> {
    let mut pieces = Vec::new();
    for (number, group) in groups.into_iter().enumerate() {
        let alone = group.len() == 1;
        let followers: Vec<Option<i64>> = group.iter().skip(1).map(|span| Some(span.first)).chain([None]).collect();
        for (span, before) in group.into_iter().zip(followers) {
            pieces.extend(span.cut().into_iter().map(|file| FilePiece { file, group: number, alone, before: None }));
            if let Some(last) = pieces.last_mut() {
                last.before = before;
            }
        }
    }
    pieces
}
