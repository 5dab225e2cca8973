//! Errors of queries, grouped by who has to act.

use std::io;

use datafusion::common::DataFusionError;

use crate::query::sql::problems::problem::SqlProblem;

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The command was used wrongly: an unknown name or parameter, a value of the wrong form.
    #[error("{0}")]
    Usage(String),
    /// The statement can't be planned.
    #[error("{0}")]
    Sql(Box<SqlProblem>),
    /// The statement failed while it ran.
    #[error("run the query: {0}")]
    Run(String),
    /// It needs more memory than it is given.
    #[error("run the query: {0}")]
    Memory(String),
    #[error("set up the query session")]
    Session(#[source] DataFusionError),
    #[error("write the result")]
    Output(#[source] io::Error),
    /// The reader of our output has what it wanted.
    #[error("the reader of the output went away")]
    BrokenPipe,
    #[error("the query was cancelled")]
    Cancelled,
}

impl QueryError {
    pub(in crate::query) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }
}
