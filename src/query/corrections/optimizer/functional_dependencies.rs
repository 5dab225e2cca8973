//! Removes functional dependencies that DataFusion derives wrongly.
//!
//! DataFusion takes the key of a GROUP BY in a subquery for a key of whatever is grouped by it and by other columns
//! above a join, and the rows of an `unnest` for as unique as the arrays. By that it leaves out keys of GROUP BY and
//! ORDER BY, DISTINCT and joins, accepts columns that aren't grouped, and counts rows with equal keys one by one in a
//! window without a frame.
//!
//! Here nothing is known to determine anything: not while a statement is planned ([`RelationsWithoutDependencies`]),
//! and not where its plan is optimized ([`ForgetDependencies`]).

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchemaRef, FunctionalDependencies, Result};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::TableFactor;

/// Plans the subqueries and the tables of a FROM as DataFusion does, and forgets what determines what in them.
#[derive(Debug)]
pub(in crate::query::corrections) struct RelationsWithoutDependencies;

thread_local! {
    /// Whether the next relation is the one that [`RelationsWithoutDependencies`] has just been asked for. A statement
    /// is planned by calls of one thread, and the context can plan a relation only by asking its planners again.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

impl RelationPlanner for RelationsWithoutDependencies {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if ASKED.replace(false) || !matches!(relation, TableFactor::Derived { .. } | TableFactor::Table { .. }) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        ASKED.set(true);
        let plan = forgetful(context.plan(relation)?)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// The plan with a root whose schema has no dependencies.
fn forgetful(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().functional_dependencies().is_empty() {
        return Ok(plan);
    }
    let plan = match plan {
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Projection(_) => plan,
        plan => {
            let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
            LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?)
        }
    };
    without_dependencies(plan)
}

/// Runs before each rule of DataFusion's that asks for dependencies, because any rule may have drawn new ones.
#[derive(Debug, Default)]
pub(in crate::query::corrections) struct ForgetDependencies;

impl OptimizerRule for ForgetDependencies {
    fn name(&self) -> &'static str {
        "forget_dependencies"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        without_dependencies(plan).map(Transformed::no)
    }
}

fn without_dependencies(mut plan: LogicalPlan) -> Result<LogicalPlan> {
    if let Some(schema) = own_schema(&mut plan)
        && !schema.functional_dependencies().is_empty()
    {
        let none = FunctionalDependencies::empty();
        *schema = Arc::new(schema.as_ref().clone().with_functional_dependencies(none)?);
    }
    Ok(plan)
}

/// The schema of operators that don't show that of an input.
fn own_schema(plan: &mut LogicalPlan) -> Option<&mut DFSchemaRef> {
    match plan {
        LogicalPlan::Projection(projection) => Some(&mut projection.schema),
        LogicalPlan::Window(window) => Some(&mut window.schema),
        LogicalPlan::Aggregate(aggregate) => Some(&mut aggregate.schema),
        LogicalPlan::Join(join) => Some(&mut join.schema),
        LogicalPlan::SubqueryAlias(alias) => Some(&mut alias.schema),
        LogicalPlan::Unnest(unnest) => Some(&mut unnest.schema),
        LogicalPlan::Distinct(Distinct::On(on)) => Some(&mut on.schema),
        _ => None,
    }
}

/// DataFusion's rule of this name, but for a DISTINCT that it leaves out where the rows are said to be distinct.
#[derive(Debug)]
pub(in crate::query::corrections) struct GroupDistinct(pub Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for GroupDistinct {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Distinct(Distinct::All(input)) if !input.schema().fields().is_empty() => {
                let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
                let groups = Aggregate::try_new(input, columns, Vec::new())?;
                without_dependencies(LogicalPlan::Aggregate(groups)).map(Transformed::yes)
            }
            plan => self.0.rewrite(plan, config),
        }
    }
}
