//! What DataFusion 55.2 answers wrongly, and what is in its place here. The list for users is in `docs/queries.md`.

mod always_a_row;
mod exprs;
mod forgetful;
mod null_not_in;
mod scalars;
mod set_operations;
mod unique_names;
mod zeros;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{AnalyzerRule, OptimizerRule};

pub(super) use forgetful::ForgetKeys;
pub(super) use unique_names::PushdownByUniqueNames;

/// Checks that fail where answers are right.
pub(super) fn settings(options: &mut ConfigOptions) {
    // (SELECT count(*) ..) with a column from outside is never NULL, but the join that it becomes can't say so.
    options.execution.skip_physical_aggregate_schema_check = true;
}

/// DataFusion's, and ours in place of some or before them.
pub(super) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "push_down_filter" => rules.push(Arc::new(always_a_row::PushDownColumns::default())),
            "decorrelate_predicate_subquery" => rules.extend([Arc::new(null_not_in::NullNotIn) as _, rule]),
            _ => rules.push(rule),
        }
    }
    rules
}

/// After DataFusion's own.
pub(super) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![Arc::new(set_operations::CountEqualRows), Arc::new(scalars::NoRowIsNull), Arc::new(zeros::OneZero)]
}
