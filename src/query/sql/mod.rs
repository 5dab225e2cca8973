//! Statements: parsed, with their parameters, ranges and dialects, and their errors in words.

pub(in crate::query) mod depth;
pub(in crate::query) mod describe;
pub(in crate::query) mod dialect;
pub(in crate::query) mod idents;
pub(in crate::query) mod literal;
pub(in crate::query) mod named_windows;
pub(in crate::query) mod names;
pub(in crate::query) mod params;
pub(in crate::query) mod problems;
pub(in crate::query) mod qualify;
pub(in crate::query) mod range_placeholder;
pub(in crate::query) mod scope;
pub(in crate::query) mod since;
pub(in crate::query) mod split;
pub(in crate::query) mod statement;
pub(in crate::query) mod time_text;
