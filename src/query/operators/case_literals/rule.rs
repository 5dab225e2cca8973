//! The rule that finds such `CASE` expressions in projections, and groups by the indices of their literals.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};

use super::expr::{CaseLiterals, IndexedLiteral, LiteralIndex};

/// Runs last: no other rule knows its expressions.
#[derive(Debug)]
pub(in crate::query) struct CaseLiteralsRule;

impl PhysicalOptimizerRule for CaseLiteralsRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = match (node.downcast_ref::<ProjectionExec>(), node.downcast_ref::<AggregateExec>()) {
                (Some(projection), _) => rewrite_projection(projection)?,
                (_, Some(aggregate)) => by_indices(aggregate)?,
                _ => None,
            };
            Ok(changed.map_or_else(|| Transformed::no(node), Transformed::yes))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ChooseLiterals"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn rewrite_projection(projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let schema = projection.input().schema();
    let mut has_changed = false;
    let exprs = projection.expr().iter().map(|one| {
        let rewritten = Arc::clone(&one.expr).transform_up(|expr| with_case_literals(expr, &schema))?;
        has_changed |= rewritten.transformed;
        Ok(ProjectionExpr::new(rewritten.data, one.alias.clone()))
    });
    let exprs = exprs.collect::<Result<Vec<ProjectionExpr>>>()?;
    if !has_changed {
        return Ok(None);
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?)))
}

fn with_case_literals(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    Ok(match CaseLiterals::of(&expr, schema)? {
        Some(choice) => Transformed::yes(Arc::new(choice)),
        None => Transformed::no(expr),
    })
}

/// Groups the rows of one partition by the index of a text in the list instead of by the text. The final aggregate
/// still groups by the text.
fn by_indices(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let group = aggregate.group_expr();
    let [(expr, name)] = group.expr() else { return Ok(None) };
    let is_plain = *aggregate.mode() == AggregateMode::Partial && group.is_single();
    // What comes after it may count on an order of the groups.
    let is_unordered = *aggregate.input_order_mode() == InputOrderMode::Linear;
    if !is_plain || !is_unordered || aggregate.limit_options().is_some() {
        return Ok(None);
    }
    let Some((choice, index, input)) = indexed_case(aggregate, expr)? else { return Ok(None) };
    let schema = input.schema();
    let grouped: Arc<dyn ExecutionPlan> = Arc::new(AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(vec![(index, name.clone())]),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        schema,
    )?);
    let passed = |at: usize, name: &str| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, at)) };
    let states = aggregate.schema();
    let literal = IndexedLiteral { index: passed(0, name), choice, nullable: states.field(0).is_nullable() };
    let mut columns = vec![ProjectionExpr::new(Arc::new(literal), name.clone())];
    let states = states.fields().iter().enumerate().skip(1);
    columns.extend(states.map(|(at, field)| ProjectionExpr::new(passed(at, field.name()), field.name().clone())));
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, grouped)?)))
}

/// The `CASE` of texts, the expression that gives its indices, and the input of that.
type IndexedCase = (CaseLiterals, Arc<dyn PhysicalExpr>, Arc<dyn ExecutionPlan>);

/// The indexed `CASE` for a text that is a group key, here or in the projection below.
fn indexed_case(aggregate: &AggregateExec, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<IndexedCase>> {
    let is_text = |choice: &CaseLiterals| *choice.kind() == DataType::Utf8;
    if let Some(choice) = CaseLiterals::of(expr, &aggregate.input().schema())?.filter(is_text) {
        return Ok(Some((choice.clone(), Arc::new(LiteralIndex(choice)), Arc::clone(aggregate.input()))));
    }
    let (Some(column), Some(projection)) =
        (expr.downcast_ref::<Column>(), aggregate.input().downcast_ref::<ProjectionExec>())
    else {
        return Ok(None);
    };
    let at = column.index();
    let choice = projection.expr()[at].expr.downcast_ref::<CaseLiterals>().filter(|choice| is_text(choice));
    let Some(choice) = choice.cloned() else { return Ok(None) };
    let used = aggregate.aggr_expr().iter().map(|expr| expr.all_expressions());
    let used = used.flat_map(|used| used.args.into_iter().chain(used.order_by_exprs));
    let mut others = used.chain(aggregate.filter_expr().iter().flatten().cloned());
    if others.any(|other| collect_columns(&other).iter().any(|other| other.index() == at)) {
        return Ok(None);
    }
    let mut exprs = projection.expr().to_vec();
    exprs[at].expr = Arc::new(LiteralIndex(choice.clone()));
    let input = Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?);
    Ok(Some((choice, Arc::clone(expr), input)))
}
