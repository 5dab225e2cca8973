//! `CASE` of literals in one pass.
//!
//! DataFusion evaluates each condition only for the rows that are left, so that one may guard the next against an
//! error: it filters and merges the whole batch for every `WHEN`. Where nothing can fail, all conditions are evaluated
//! for all rows, and each row takes its literal out of a list. Grouping by such a column is grouping by indices in that
//! list.

mod expr;
mod rule;
#[cfg(test)]
mod tests;

pub(in crate::query) use rule::CaseLiteralsRule;
