//! Years of times in nanoseconds.
//!
//! DataFusion turns `extract(year FROM t) > 1600` into a comparison of `t` with the first instant of 1601. Where there
//! is none, as before 1677, after 2262 and where clocks left out that midnight or showed it twice, it compares with
//! NULL, and no row is found. Such conditions stay as they are. `AT TIME ZONE` gives nanoseconds, so this concerns all
//! times in a zone.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::analyzer::exprs::rewrite_exprs;

/// `extract` makes DataFusion's function without asking for its name, so a rule puts ours there.
#[derive(Debug)]
pub(in crate::query::corrections) struct YearsThatBegin;

impl AnalyzerRule for YearsThatBegin {
    fn name(&self) -> &'static str {
        "years_that_begin"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let inner = date_part();
        let ours = Arc::new(ScalarUDF::from(DatePart { inner: Arc::clone(&inner) }));
        rewrite_exprs(plan, |expr, _| {
            Ok(match expr {
                Expr::ScalarFunction(call) if call.func == inner => {
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&ours), call.args)))
                }
                expr => Transformed::no(expr),
            })
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a part depends on its name")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        Ok(match self.inner.preimage(args, literal, info)? {
            PreimageResult::Range { interval, .. } if interval.lower().is_null() || interval.upper().is_null() => {
                PreimageResult::None
            }
            found => found,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
