//! Corrections of what DataFusion 55.2 answers wrongly. The list for users is in `docs/queries.md`.

mod analyzer;
mod functions;
mod optimizer;
mod physical;

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{Analyzer, AnalyzerRule, OptimizerRule};

pub(in crate::query) use analyzer::subqueries::WRITE_NOT_EXISTS;
pub(in crate::query) use physical::cancellable::CancellableJoins;
pub(in crate::query) use physical::filtered_aggregates::UnfilteredStatistics;
pub(in crate::query) use physical::hidden_properties::ForgetKeys;
pub(in crate::query) use physical::unique_names::PushdownByUniqueNames;
pub(in crate::query) use physical::window_memory::ChargeWindows;

/// Checks that fail where answers are right, and optimizations that change answers.
pub(in crate::query) fn settings(options: &mut ConfigOptions) {
    // (SELECT count(*) ..) with a column from outside is never NULL, but the join that it becomes can't say so.
    options.execution.skip_physical_aggregate_schema_check = true;
    // GROUP BY g ORDER BY g LIMIT 1 below a window: the window sees one group.
    options.optimizer.enable_topk_aggregation = false;
    // ORDER BY k LIMIT 1 above windows that read ahead: what they need is cut.
    options.optimizer.enable_window_limits = false;
    // min(a), min(b): what one part of the table has of b alone hides the rows of others that have an a.
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
}

/// DataFusion's, and ours in place of some or before them.
pub(in crate::query) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        match rule.name() {
            "push_down_filter" => rules.push(Arc::new(optimizer::global_aggregate_filters::PushDownColumns::default())),
            "eliminate_duplicated_expr" | "eliminate_join" | "optimize_projections" => {
                rules.extend([Arc::new(optimizer::functional_dependencies::ForgetDependencies) as _, rule]);
            }
            "replace_distinct_aggregate" => {
                rules.push(Arc::new(optimizer::functional_dependencies::GroupDistinct(rule)))
            }
            "common_sub_expression_eliminate" => {
                rules.extend([Arc::new(optimizer::equal_windows::EqualWindows) as _, rule])
            }
            "decorrelate_predicate_subquery" => rules.extend([Arc::new(optimizer::null_not_in::NullNotIn) as _, rule]),
            _ => rules.push(rule),
        }
    }
    rules
}

/// DataFusion's, with ours behind them. What is refused is what the statement says, so refusals come first of these.
pub(in crate::query) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(analyzer::unsigned::SignedDifferences)];
    rules.extend(Analyzer::new().rules);
    let ours: [Arc<dyn AnalyzerRule + Send + Sync>; 11] = [
        Arc::new(analyzer::known_zones::OnlyKnownZones),
        Arc::new(analyzer::subqueries::OnlyRightJoins),
        Arc::new(analyzer::distinct::NoIgnoredDistinct),
        Arc::new(analyzer::set_operations::CountEqualRows),
        Arc::new(analyzer::scalars::NoRowIsNull),
        Arc::new(analyzer::zeros::OneZero),
        Arc::new(analyzer::local_time::WallClock),
        Arc::new(analyzer::truth::TruthAsDistinct),
        Arc::new(analyzer::years::YearsThatBegin),
        Arc::new(analyzer::overflows::CheckedNumbers),
        Arc::new(functions::frame_aggregates::NoResidue),
    ];
    rules.extend(ours);
    rules
}

/// Functions in place of DataFusion's of the same names, and what plans a FROM.
///
/// # Errors
/// The session takes no functions.
pub(in crate::query) fn register(state: &mut SessionState) -> Result<(), DataFusionError> {
    state.register_expr_planner(Arc::new(analyzer::overflows::CheckedArguments))?;
    state.register_relation_planner(Arc::new(optimizer::functional_dependencies::RelationsWithoutDependencies))?;
    state.register_udf(functions::date_bin::zoned_date_bin())?;
    state.register_udaf(functions::exact_sum::exact_sum())?;
    state.register_udaf(functions::exact_avg::exact_avg())?;
    for function in functions::window_functions::window_functions() {
        state.register_udwf(function)?;
    }
    Ok(())
}
