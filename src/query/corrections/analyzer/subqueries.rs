//! Subqueries that DataFusion would turn into a join with other rows, and outer joins whose common key would be NULL.
//!
//! A correlated subquery becomes a join by moving its condition out of it. That is right only where all between the
//! condition and the top of the subquery lets each row pass or not: a count without a match is 0 and becomes no row, a
//! window numbers the rows of all keys together, OFFSET is dropped. What isn't right is refused here, with the way to
//! write it.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{BinaryExpr, Exists, InSubquery};
use datafusion::logical_expr::logical_plan::{Join, SkipType, Subquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, JoinConstraint, JoinType, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use crate::query::corrections::optimizer::global_aggregate_filters::always_has_a_row;

pub(in crate::query) const WRITE_NOT_EXISTS: &str = "write NOT EXISTS (SELECT 1 FROM .. WHERE v = x) in place of x \
    NOT IN (SELECT v FROM ..), which is never true where v has a NULL";

#[derive(Debug)]
pub(in crate::query::corrections) struct OnlyRightJoins;

impl AnalyzerRule for OnlyRightJoins {
    fn name(&self) -> &'static str {
        "only_right_joins"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Join(join) = node {
                check_key(join)?;
            }
            if let LogicalPlan::Subquery(lateral) = node {
                check(lateral, SubqueryKind::Value)?;
            }
            if let LogicalPlan::Filter(filter) = node {
                for condition in split_conjunction(&filter.predicate) {
                    check_condition(condition, filter.input.schema())?;
                }
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    match expr {
                        Expr::Exists(Exists { subquery, .. }) => check(subquery, SubqueryKind::Exists)?,
                        Expr::InSubquery(call) => {
                            if call.negated {
                                check_constant(call)?;
                            }
                            check(&call.subquery, SubqueryKind::In)?;
                        }
                        Expr::Not(inner) => {
                            if let Expr::InSubquery(call) = inner.as_ref() {
                                check_constant(call)?;
                            }
                        }
                        Expr::ScalarSubquery(subquery) => check(subquery, SubqueryKind::Value)?,
                        // Its column of the subquery would be taken for one of the same name around it.
                        Expr::SetComparison(_) => {
                            return plan_err!(
                                "ANY, SOME and ALL of a subquery are not supported\n\
                                 write x IN (SELECT ..) in place of x = ANY (SELECT ..), and x > (SELECT max(..) ..) \
                                 in place of x > ALL (SELECT ..)"
                            );
                        }
                        _ => {}
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubqueryKind {
    Exists,
    In,
    Value,
}

fn check(subquery: &Subquery, kind: SubqueryKind) -> Result<()> {
    if !subquery.outer_ref_columns.is_empty() {
        has_outer(&subquery.subquery, kind, false)?;
    }
    Ok(())
}

/// A constant becomes a condition on the rows of the subquery, which leaves out those that are NULL.
fn check_constant(call: &InSubquery) -> Result<()> {
    let is_null = matches!(call.expr.as_ref(), Expr::Literal(value, _) if value.is_null());
    let fields = call.subquery.subquery.schema().fields();
    if is_null || !call.expr.column_refs().is_empty() || fields.iter().all(|field| !field.is_nullable()) {
        return Ok(());
    }
    plan_err!("NOT IN of a constant is not supported where the subquery can have a NULL\n{WRITE_NOT_EXISTS}")
}

/// Whether the plan names a column of the statement around it. `above` is whether an aggregate stands above it.
fn has_outer(plan: &LogicalPlan, kind: SubqueryKind, above: bool) -> Result<bool> {
    let is_aggregate = matches!(plan, LogicalPlan::Aggregate(_));
    let mut below = Vec::new();
    for input in plan.inputs() {
        below.push(has_outer(input, kind, above || is_aggregate)?);
    }
    if !below.contains(&true) {
        return Ok(plan.contains_outer_reference());
    }
    match plan {
        LogicalPlan::Aggregate(aggregate) if always_has_a_row(aggregate) => match kind {
            SubqueryKind::Exists => plan_err!(
                "EXISTS over an aggregate without GROUP BY is true for each row, or as its HAVING says, and is not \
                 supported\nwrite its HAVING as a comparison: (SELECT count(*) FROM .. WHERE ..) = 0 in place of \
                 EXISTS (SELECT .. HAVING count(*) = 0)"
            ),
            SubqueryKind::In => plan_err!(
                "IN over an aggregate without GROUP BY is not supported where the subquery names columns from outside\n\
                 write x = (SELECT max(..) FROM .. WHERE ..) in place of x IN (SELECT max(..) FROM .. WHERE ..)"
            ),
            SubqueryKind::Value if above => plan_err!(
                "an aggregate of an aggregate without GROUP BY is not supported where the inner one names columns \
                 from outside\nwrite one of them, or join a WITH that has GROUP BY"
            ),
            SubqueryKind::Value => Ok(true),
        },
        LogicalPlan::Window(_) => plan_err!(
            "a window in a subquery that names columns from outside is not supported: it would see the rows of all of \
             them\nwrite the window in a WITH with PARTITION BY these columns, and join it"
        ),
        LogicalPlan::Limit(limit) if kind == SubqueryKind::Exists => match limit.get_skip_type()? {
            SkipType::Literal(0) => Ok(true),
            _ => plan_err!(
                "OFFSET in an EXISTS that names columns from outside is not supported\n\
                 write (SELECT count(*) FROM .. WHERE ..) > 1 in place of EXISTS (SELECT .. OFFSET 1)"
            ),
        },
        LogicalPlan::Join(join) if !keeps_rows(join.join_type, &below) => plan_err!(
            "an outer join in a subquery that names columns from outside below it is not supported\n\
             write the condition that names them above the join"
        ),
        _ => Ok(true),
    }
}

/// Each row of the inputs that name outer columns is one that a condition above the join can tell from others.
fn keeps_rows(kind: JoinType, names_outer: &[bool]) -> bool {
    let [left, right] = names_outer else { return false };
    match kind {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => !right,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => !left,
        _ => false,
    }
}

/// `x IN (SELECT ..)` may be unknown. A condition as a whole is one that DataFusion plans so; inside of another one it
/// becomes false in place of unknown, which is the same only below AND and OR.
fn check_condition(condition: &Expr, schema: &DFSchema) -> Result<()> {
    let (is_not, inner) = match condition {
        Expr::Not(inner) => (true, inner.as_ref()),
        condition => (false, condition),
    };
    match inner {
        Expr::InSubquery(call) => {
            let is_correlated = !call.subquery.outer_ref_columns.is_empty();
            if is_not != call.negated && is_correlated && inner.nullable(schema)? {
                return plan_err!(
                    "NOT IN of a subquery that names columns from outside is not supported where values can be \
                     NULL\n{WRITE_NOT_EXISTS}"
                );
            }
            Ok(())
        }
        _ => check_inside(condition, schema, true),
    }
}

fn check_inside(expr: &Expr, schema: &DFSchema, only_logic: bool) -> Result<()> {
    match expr {
        Expr::InSubquery(call) if (call.negated || !only_logic) && expr.nullable(schema)? => plan_err!(
            "IN of a subquery inside of OR, NOT or another expression is not supported where values can be \
             NULL\n{WRITE_NOT_EXISTS}"
        ),
        expr => {
            let is_logic = matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }));
            expr.apply_children(|child| {
                check_inside(child, schema, only_logic && is_logic)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(())
        }
    }
}

/// The common key of a RIGHT or FULL join is that of the left side, which is NULL in rows of the right side alone.
fn check_key(join: &Join) -> Result<()> {
    let is_wrong = matches!(join.join_type, JoinType::Right | JoinType::Full);
    if !is_wrong || join.join_constraint != JoinConstraint::Using {
        return Ok(());
    }
    let kind = if join.join_type == JoinType::Full { "FULL" } else { "RIGHT" };
    plan_err!(
        "{kind} JOIN .. USING and NATURAL {kind} JOIN are not supported: the key of rows of the right side alone \
         would be NULL\nwrite {kind} JOIN .. ON a.k = b.k, and coalesce(a.k, b.k) AS k in the SELECT"
    )
}
