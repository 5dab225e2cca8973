//! Indicator window functions, for the recursions that plain SQL can't express: `ema`, `rsi`, `macd`, `atr`.
//!
//! ```text
//!  ema(close, 12) OVER (PARTITION BY symbol ORDER BY ..)
//!    plan:    Function, its arguments checked; periods are literals ──> Indicator
//!    run:     Indicator::start ──> Running (a kernel of `indicators`) ──> one value a row, in the order of the window
//! ```
//!
//! A value depends on all rows of the partition up to its own, whatever the frame of the window. Other engines lack
//! these functions.

mod calls;
mod function;
mod running;
mod udwf;

pub(in crate::query) use calls::first_call;
pub(in crate::query) use running::{Indicator, IndicatorState, doubles};
pub(in crate::query) use udwf::{IndicatorUdwf, window_functions};
