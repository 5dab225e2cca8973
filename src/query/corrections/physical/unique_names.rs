//! Conditions of a plan pass only operators whose columns have names of their own.
//!
//! DataFusion finds the columns of a condition below an operator by their names. Below a self-join both sides have the
//! same ones: `a.ts < b.ts` became `ts < ts` in the scan of one side, without an error and without the rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};

/// DataFusion's rule of this name, in the parts of a plan in which it can't take one column for another.
#[derive(Debug)]
pub(in crate::query) struct PushdownByUniqueNames(pub Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for PushdownByUniqueNames {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // The columns of the root may share names: no condition comes from above it.
        if plan.children().into_iter().all(has_unique_names) {
            return self.0.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config));
        let children = children.collect::<Result<Vec<_>>>()?;
        plan.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_unique_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut names = HashSet::new();
    let schema = plan.schema();
    schema.fields().iter().all(|field| names.insert(field.name())) && plan.children().into_iter().all(has_unique_names)
}
