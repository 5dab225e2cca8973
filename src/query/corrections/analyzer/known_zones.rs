//! `ts AT TIME ZONE 'Asia/Hongkong'`: a zone that doesn't exist is an error, where DataFusion shows UTC.

use std::collections::BTreeSet;
use std::str::FromStr;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::util::suggest::closest;

#[derive(Debug)]
pub(in crate::query::corrections) struct OnlyKnownZones;

impl AnalyzerRule for OnlyKnownZones {
    fn name(&self) -> &'static str {
        "only_known_zones"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut zones = BTreeSet::new();
        plan.apply_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    let kind = match expr {
                        Expr::Cast(cast) => Some(cast.field.data_type().clone()),
                        Expr::TryCast(cast) => Some(cast.field.data_type().clone()),
                        // arrow_cast(ts, 'Timestamp(Microsecond, Some("..")))')
                        Expr::ScalarFunction(_) => expr.get_type(&schema).ok(),
                        _ => None,
                    };
                    if let Some(DataType::Timestamp(_, Some(zone))) = kind {
                        zones.insert(zone);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        match zones.iter().find(|zone| Tz::from_str(zone).is_err()) {
            Some(zone) => plan_err!("there is no time zone '{zone}'{}", way_out(zone)),
            None => Ok(plan),
        }
    }
}

/// Abbreviations are like many names: only what has a region is compared.
fn way_out(zone: &str) -> String {
    let named = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    match closest(zone, named()).filter(|_| zone.contains('/')) {
        Some(name) => format!("; did you mean '{name}'?"),
        None => "\nwrite a name of the IANA list, as in America/New_York, or an offset, as in +05:30".to_owned(),
    }
}
