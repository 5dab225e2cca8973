//! Window functions of ours, for the recursions that plain SQL can't say: `ema`, `rsi`, `macd`, `atr`.
//!
//! ```text
//!  ema(close, 12) OVER (PARTITION BY symbol ORDER BY ..)
//!    plan:    Function, its arguments checked; periods are literals ──> Indicator
//!    run:     Indicator::start ──> Running (a kernel of `signals`) ──> one value a row, in the order of the window
//! ```
//!
//! A row looks at all rows of its partition up to itself: a frame in the window changes nothing. Other engines lack these.

mod calls;
mod function;
mod running;
mod udwf;

pub(in crate::query) use calls::first_call;
pub(in crate::query) use running::{Indicator, IndicatorState, doubles};
pub(in crate::query) use udwf::{IndicatorUdwf, window_functions};
