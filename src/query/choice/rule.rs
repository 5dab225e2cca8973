//! The rule that finds choices in projections, and groups by their places.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::expr::{Choice, LiteralAt, PlaceOf};

/// Runs last: no other rule knows its expressions.
#[derive(Debug)]
pub(in crate::query) struct ChooseLiterals;

impl PhysicalOptimizerRule for ChooseLiterals {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let changed = match (node.downcast_ref::<ProjectionExec>(), node.downcast_ref::<AggregateExec>()) {
                (Some(projection), _) => with_choices(projection)?,
                (_, Some(aggregate)) => by_places(aggregate)?,
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

fn with_choices(projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let schema = projection.input().schema();
    let mut has_changed = false;
    let exprs = projection.expr().iter().map(|one| {
        let chosen = Arc::clone(&one.expr).transform_up(|expr| chosen(expr, &schema))?;
        has_changed |= chosen.transformed;
        Ok(ProjectionExpr::new(chosen.data, one.alias.clone()))
    });
    let exprs = exprs.collect::<Result<Vec<ProjectionExpr>>>()?;
    if !has_changed {
        return Ok(None);
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?)))
}

fn chosen(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    Ok(match Choice::of(&expr, schema)? {
        Some(choice) => Transformed::yes(Arc::new(choice)),
        None => Transformed::no(expr),
    })
}

/// Groups of the rows of one partition by the place of a choice in its list instead of by the text there: what comes
/// after it groups by the text and doesn't mind a text that came from two places.
fn by_places(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let group = aggregate.group_expr();
    let [(expr, name)] = group.expr() else { return Ok(None) };
    let is_plain = *aggregate.mode() == AggregateMode::Partial && group.is_single();
    let (true, Some(column), Some(projection)) =
        (is_plain && aggregate.limit_options().is_none(), expr.downcast_ref::<Column>(), projected(aggregate))
    else {
        return Ok(None);
    };
    let at = column.index();
    let Some(choice) = projection.expr()[at].expr.downcast_ref::<Choice>() else { return Ok(None) };
    let used = aggregate.aggr_expr().iter().map(|expr| expr.all_expressions());
    let used = used.flat_map(|used| used.args.into_iter().chain(used.order_by_exprs));
    let mut others = used.chain(aggregate.filter_expr().iter().flatten().cloned());
    if others.any(|other| collect_columns(&other).contains(column)) {
        return Ok(None);
    }
    let mut exprs = projection.expr().to_vec();
    exprs[at].expr = Arc::new(PlaceOf(choice.clone()));
    let input: Arc<dyn ExecutionPlan> = Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?);
    let schema = input.schema();
    let grouped: Arc<dyn ExecutionPlan> = Arc::new(AggregateExec::try_new(
        AggregateMode::Partial,
        PhysicalGroupBy::new_single(vec![(Arc::clone(expr), name.clone())]),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        schema,
    )?);
    let passed = |at: usize, name: &str| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, at)) };
    let nullable = aggregate.schema().field(0).is_nullable();
    let literal = LiteralAt { place: passed(0, name), choice: choice.clone(), nullable };
    let mut columns = vec![ProjectionExpr::new(Arc::new(literal), name.clone())];
    let states = aggregate.schema();
    let states = states.fields().iter().enumerate().skip(1);
    columns.extend(states.map(|(at, field)| ProjectionExpr::new(passed(at, field.name()), field.name().clone())));
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, grouped)?)))
}

fn projected(aggregate: &AggregateExec) -> Option<&ProjectionExec> {
    aggregate.input().downcast_ref::<ProjectionExec>()
}
