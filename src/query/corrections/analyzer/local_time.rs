//! Times in a zone as times without one.
//!
//! `CAST(ts AT TIME ZONE 'America/New_York' AS TIMESTAMP)` is what the clock on the wall there shows, in SQL. Arrow's
//! cast gives what it shows in UTC. Casts that type coercion put in are of the same kind. The other way round,
//! `wall AT TIME ZONE ..` compared with a literal, the optimizer drops the zone, so it may not see the cast.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::functions::datetime::to_local_time;
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;
use crate::query::corrections::functions::opaque::opaque;

#[derive(Debug)]
pub(in crate::query::corrections) struct WallClock;

impl AnalyzerRule for WallClock {
    fn name(&self) -> &'static str {
        "wall_clock"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_exprs(plan, |expr, schema| {
            let (Expr::Cast(Cast { expr: from, field }) | Expr::TryCast(TryCast { expr: from, field })) = &expr else {
                return Ok(Transformed::no(expr));
            };
            let from_type = from.get_type(schema)?;
            if zone_of(field.data_type()).is_some() && matches!(from_type, DataType::Timestamp(_, None)) {
                return Ok(Transformed::yes(opaque(expr, false)));
            }
            if !matches!(field.data_type(), DataType::Timestamp(_, None)) || zone_of(&from_type).is_none() {
                return Ok(Transformed::no(expr));
            }
            let local = |from| Box::new(Expr::ScalarFunction(ScalarFunction::new_udf(to_local_time(), vec![from])));
            Ok(Transformed::yes(match expr {
                Expr::Cast(Cast { expr, field }) => Expr::Cast(Cast { expr: local(*expr), field }),
                Expr::TryCast(TryCast { expr, field }) => Expr::TryCast(TryCast { expr: local(*expr), field }),
                expr => expr,
            }))
        })
    }
}

/// The zone of a time, unless its clocks show UTC.
pub(in crate::query::corrections) fn zone_of(kind: &DataType) -> Option<&str> {
    match kind {
        DataType::Timestamp(_, Some(zone)) => Some(zone.as_ref()).filter(|zone| !is_utc(zone)),
        _ => None,
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "Z" | "+00:00" | "+00" | "+0000")
}
