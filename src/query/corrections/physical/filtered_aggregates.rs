//! Aggregates with FILTER keep to their own rows.
//!
//! DataFusion takes a count from statistics where it can. Above `max(n) FILTER (..)` of a subquery that is a count it
//! looks on below the maximum, finds the count, and puts it in the place of the maximum, which ends in an internal
//! error.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// DataFusion's rule, for plans in which no aggregate has a FILTER.
#[derive(Debug)]
pub(in crate::query) struct UnfilteredStatistics(pub Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for UnfilteredStatistics {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        match plan.exists(|node| Ok(has_filter(node.as_ref())))? {
            true => Ok(plan),
            false => self.0.optimize(plan, config),
        }
    }
}

fn has_filter(node: &dyn ExecutionPlan) -> bool {
    node.downcast_ref::<AggregateExec>().is_some_and(|aggregate| aggregate.filter_expr().iter().any(Option::is_some))
}
