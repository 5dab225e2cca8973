//! Our own operators in plans: rolling windows, the last rows of symbols, CASE of literals, indicators.

pub(in crate::query) mod case_literals;
pub(in crate::query) mod indicators;
pub(in crate::query) mod latest;
pub(in crate::query) mod rolling;
