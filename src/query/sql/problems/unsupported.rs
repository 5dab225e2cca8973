//! Statements that DataFusion can't plan, and other ways to write them.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, Select, TableFactor, TableWithJoins, Visit, Visitor,
};

use crate::query::corrections::WRITE_NOT_EXISTS;
use crate::query::sql::statement::ParsedStatement;

/// A part of a statement that isn't supported, and what to write instead.
pub(in crate::query) struct Unsupported {
    pub message: &'static str,
    pub hints: &'static [&'static str],
}

const SUBQUERY_OF_ROW: Unsupported = Unsupported {
    message: "a subquery of one value is not supported here: it may name columns from around it only in equalities of \
        its WHERE, as in b.symbol = a.symbol, and stands in no aggregate function and no ON",
    hints: &[
        "write a window for what came before: max(close) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN UNBOUNDED \
         PRECEDING AND 1 PRECEDING)",
        "or join what it reads: SELECT a.ts, max(b.close) FROM .. a JOIN .. b ON b.symbol = a.symbol AND b.ts < a.ts \
         GROUP BY a.ts",
        "in an aggregate function: SELECT sum(v) FROM (SELECT (SELECT ..) AS v FROM ..)",
    ],
};

const CONDITION_AS_VALUE: Unsupported = Unsupported {
    message: "EXISTS or IN of a subquery is not supported here: it stands in WHERE or HAVING, not as a value, within \
        CASE or in ON; where it names columns from around it, these stand only in equalities of its WHERE, and it has \
        no ORDER BY, LIMIT or UNION",
    hints: &[
        "write EXISTS (SELECT 1 FROM .. b WHERE b.v = a.x AND b.symbol = a.symbol) in place of a.x IN (SELECT ..), \
         without ORDER BY and LIMIT; two EXISTS with OR in place of a UNION",
        "join it, and test its key: SELECT b.symbol IS NOT NULL FROM .. a LEFT JOIN (SELECT DISTINCT symbol FROM ..) b \
         ON b.symbol = a.symbol",
    ],
};

const LATERAL: Unsupported = Unsupported {
    message: "after LATERAL a subquery may name columns of the tables before it only in equalities of its WHERE",
    hints: &["write a join with GROUP BY, or a window function"],
};

const NOT_IN: Unsupported = Unsupported {
    message: "NOT IN of a subquery that names columns from outside is not supported inside of OR, NOT or another \
        expression",
    hints: &[WRITE_NOT_EXISTS],
};

const PLANNER: &str = "Physical plan does not support logical expression ";

/// `text` is the error of DataFusion, which has no kinds for these.
pub(in crate::query) fn unsupported(text: &str) -> Option<Unsupported> {
    if text.starts_with("Correlated scalar subquery can only be used in") {
        return Some(SUBQUERY_OF_ROW);
    }
    if text.starts_with("null_aware anti join only supports") {
        return Some(NOT_IN);
    }
    match text.strip_prefix(PLANNER)?.split(['(', ' ']).next()? {
        "ScalarSubquery" => Some(SUBQUERY_OF_ROW),
        "Exists" | "InSubquery" => Some(CONDITION_AS_VALUE),
        "OuterReferenceColumn" => Some(LATERAL),
        _ => None,
    }
}

/// More to say about an error where the statement shows what it is of.
pub(in crate::query) fn hint_of(sql: &str, message: &str) -> Option<&'static str> {
    let has = || StatementParts::of(sql);
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    if begins(&["there is no column"]) && has().lateral {
        return Some("after LATERAL columns of the tables before it may stand only in equalities of a WHERE");
    }
    if begins(&["cannot cast", "casting from", "there is only support Literal"]) && has().lag_or_lead {
        return Some(
            "what lag and lead take third is a constant of the type of the first; coalesce(lag(..) OVER (..), x) \
             takes any x",
        );
    }
    if begins(&["unsupported function argument type"]) {
        return Some(
            "NAME => VALUE is for named queries, as in bars(interval => '1h'): tickhouse query --list shows them",
        );
    }
    (message.ends_with("is ambiguous") && has().using).then_some("a column of USING, too, takes the alias of one side")
}

/// The constructs that a statement has, in any of its queries.
#[derive(Debug, Default, PartialEq, Eq)]
struct StatementParts {
    lateral: bool,
    lag_or_lead: bool,
    using: bool,
}

impl StatementParts {
    /// Nothing of a text that doesn't parse.
    fn of(sql: &str) -> Self {
        let mut parts = Self::default();
        let Ok(parsed) = ParsedStatement::parse(sql) else { return parts };
        let mut statement = parsed.statement();
        while let Statement::Explain(explain) = statement {
            statement = &explain.statement;
        }
        if let Statement::Statement(statement) = statement {
            let (ControlFlow::Continue(()) | ControlFlow::Break(())) = statement.visit(&mut parts);
        }
        parts
    }

    fn joins(&mut self, tables: &TableWithJoins) {
        let constraint = |join: &JoinOperator| match join {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint) => matches!(constraint, JoinConstraint::Using(_)),
            _ => false,
        };
        self.using |= tables.joins.iter().any(|join| constraint(&join.join_operator));
    }
}

impl Visitor for StatementParts {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        select.from.iter().for_each(|tables| self.joins(tables));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins(table_with_joins),
            TableFactor::Derived { lateral, .. } | TableFactor::Function { lateral, .. } => self.lateral |= lateral,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string();
            self.lag_or_lead |= ["lag", "lead"].iter().any(|known| name.eq_ignore_ascii_case(known));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_about_what_the_statement_has() {
        let ambiguous = "column 'symbol' is ambiguous";
        for (sql, message, has_hint) in [
            ("SELECT symbol FROM a JOIN b USING (symbol)", ambiguous, true),
            ("SELECT (SELECT symbol FROM (a LEFT JOIN b USING (symbol)))", ambiguous, true),
            ("EXPLAIN SELECT symbol FROM a JOIN b USING (symbol)", ambiguous, true),
            ("SELECT symbol FROM a JOIN b ON a.ts = b.ts WHERE a.source = 'using'", ambiguous, false),
            ("SELECT symbol, 1 AS \"using\" FROM a JOIN b ON a.ts = b.ts", ambiguous, false),
            ("SELECT x FROM a, LATERAL (SELECT a.x)", "there is no column 'x'", true),
            ("SELECT x, 'lateral' FROM a", "there is no column 'x'", false),
            ("SELECT Lag(a, 1, 'x') OVER (ORDER BY b) FROM c", "cannot cast string 'x'", true),
            ("SELECT CAST('lag' AS DOUBLE) AS lead", "cannot cast string 'lag'", false),
        ] {
            assert_eq!(hint_of(sql, message).is_some(), has_hint, "{sql}");
        }
    }
}
