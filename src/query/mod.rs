//! The only module that runs SQL.
