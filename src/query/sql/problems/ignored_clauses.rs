//! Clauses that the parser takes from other dialects and the planner leaves out: the answer would be of another
//! statement.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{GroupByExpr, Query, Select, TableFactor, Visit, Visitor};

use crate::query::error::QueryError;

/// # Errors
/// The statement has such a clause.
pub(in crate::query) fn refuse(statement: &impl Visit) -> Result<(), QueryError> {
    match statement.visit(&mut DroppedClauses) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((clause, instead)) => {
            Err(QueryError::Usage(format!("{clause} is not supported: {instead}")))
        }
    }
}

/// The clause, and what to write.
type DroppedClause = (&'static str, &'static str);

struct DroppedClauses;

impl Visitor for DroppedClauses {
    type Break = DroppedClause;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<DroppedClause> {
        let modifiers = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        first(&[
            (select.prewhere.is_some(), "PREWHERE", "write WHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY", "write WITH RECURSIVE"),
            (!modifiers.is_empty(), "GROUP BY .. WITH", "write GROUP BY ROLLUP(..), CUBE(..) or GROUPING SETS (..)"),
            (select.into.is_some(), "SELECT INTO", "tables are only read; -o FILE writes an answer to a file"),
            (select.value_table_mode.is_some(), "SELECT AS STRUCT or VALUE", "name the columns"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY", "leave it out"),
        ])
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<DroppedClause> {
        first(&[
            (!query.locks.is_empty(), "FOR UPDATE or FOR SHARE", "tables are only read: leave it out"),
            (query.for_clause.is_some(), "FOR XML, JSON or BROWSE", "--format says how an answer is written"),
            (query.settings.is_some(), "SETTINGS", "leave it out"),
            (query.format_clause.is_some(), "FORMAT", "--format says how an answer is written"),
        ])
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<DroppedClause> {
        const SAMPLE: DroppedClause = ("TABLESAMPLE", "write WHERE random() < 0.1, or a condition on kafka_offset");
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break(SAMPLE)
            }
            TableFactor::Table { version: Some(_), .. } => {
                ControlFlow::Break(("a table AS OF a version", "--as-of reads an older version"))
            }
            TableFactor::Table { with_hints, partitions, index_hints, json_path, with_ordinality, .. } => first(&[
                (!with_hints.is_empty(), "WITH (..) behind a table", "leave it out"),
                (!partitions.is_empty(), "PARTITION (..) behind a table", "write a condition on trade_date"),
                (!index_hints.is_empty(), "USE INDEX", "leave it out"),
                (json_path.is_some(), "a path behind a table", "write a condition on its columns"),
                (*with_ordinality, "WITH ORDINALITY", "write row_number() OVER (..)"),
            ]),
            TableFactor::UNNEST { with_offset: true, .. } | TableFactor::UNNEST { with_ordinality: true, .. } => {
                ControlFlow::Break(("WITH OFFSET and WITH ORDINALITY", "write row_number() OVER (..)"))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn first(clauses: &[(bool, &'static str, &'static str)]) -> ControlFlow<DroppedClause> {
    match clauses.iter().find(|(is_there, ..)| *is_there) {
        Some((_, clause, instead)) => ControlFlow::Break((clause, instead)),
        None => ControlFlow::Continue(()),
    }
}
