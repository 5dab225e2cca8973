//! What is wrong with a statement: where it is, what was probably meant, and what is refused.

pub(in crate::query) mod diagnose;
pub(in crate::query) mod error_text;
pub(in crate::query) mod ignored_clauses;
pub(in crate::query) mod problem;
pub(in crate::query) mod source_location;
pub(in crate::query) mod syntax;
pub(in crate::query) mod unsupported;
