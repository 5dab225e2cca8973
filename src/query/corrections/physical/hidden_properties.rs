//! Aggregates, outer joins and windows over inputs whose constants and keys DataFusion draws wrong conclusions from.
//!
//! A constant below `GROUP BY ROLLUP(symbol)`, or on the side of an outer join that rows may lack, isn't one any more
//! above it: it is NULL in some rows, and DataFusion leaves out sorts by it. And a window over all group keys takes
//! rows in order of some of them for sorted, and then finds that they aren't.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::query::operators::rolling::windows_of;

/// Puts [`ForgetfulExec`] below grouping sets, outer joins and windows over groups, before sorts are planned.
#[derive(Debug)]
pub(in crate::query) struct ForgetKeys;

impl PhysicalOptimizerRule for ForgetKeys {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let inputs: Vec<Arc<dyn ExecutionPlan>> = plan.children().into_iter().map(Arc::clone).collect();
            let forgotten = forgotten(&plan, &inputs);
            if !forgotten.contains(&true) {
                return Ok(Transformed::no(plan));
            }
            let forget = |(input, forgotten): (Arc<dyn ExecutionPlan>, bool)| match forgotten {
                true => Arc::new(ForgetfulExec::new(input)) as Arc<dyn ExecutionPlan>,
                false => input,
            };
            let inputs = inputs.into_iter().zip(forgotten).map(forget).collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            plan.replace_children(inputs, options).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ForgetKeys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// For each input of the operator, whether what is known of it doesn't hold above the operator.
fn forgotten(plan: &Arc<dyn ExecutionPlan>, inputs: &[Arc<dyn ExecutionPlan>]) -> Vec<bool> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return vec![!aggregate.group_expr().is_single()];
    }
    if let Some(kind) = join_type(plan.as_ref()) {
        let lacks_rows = match kind {
            JoinType::Left => [false, true],
            JoinType::Right => [true, false],
            JoinType::Full => [true, true],
            _ => [false, false],
        };
        return inputs
            .iter()
            .zip(lacks_rows)
            .map(|(input, lacks)| lacks && !known(input).constants().is_empty())
            .collect();
    }
    match windows_of(plan) {
        Some((_, input)) => vec![!known(input).constraints().is_empty()],
        None => Vec::new(),
    }
}

fn known(input: &Arc<dyn ExecutionPlan>) -> &EquivalenceProperties {
    input.properties().equivalence_properties()
}

fn join_type(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    let hash = plan.downcast_ref::<HashJoinExec>().map(|join| *join.join_type());
    let nested = || plan.downcast_ref::<NestedLoopJoinExec>().map(|join| *join.join_type());
    hash.or_else(nested).or_else(|| plan.downcast_ref::<SortMergeJoinExec>().map(SortMergeJoinExec::join_type))
}

/// Passes its input on, and knows nothing of its order, constants and keys.
#[derive(Debug)]
struct ForgetfulExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetfulExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            known.output_partitioning().clone(),
            known.emission_type,
            known.boundedness,
        );
        Self { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ForgetfulExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForgetfulExec")
    }
}

impl ExecutionPlan for ForgetfulExec {
    fn name(&self) -> &'static str {
        "ForgetfulExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
