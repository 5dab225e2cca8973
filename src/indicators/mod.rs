//! Rolling kernels: pure functions of one symbol's values in order, with state that outlives a slice.
//!
//! ```text
//!  values of one symbol, slice after slice ──> Frames<Sum | Least | Greatest | Moments> ──> one state a row
//!                                          ──> Counter (known values in the frame)
//!                                          ──> Previous (the value k rows before)
//!                                          ──> ZScore, LastSign
//!                                          ──> Queue<..>: any first-in, first-out frame
//!                                          ──> Ema, Macd, Rsi, Atr: recursions over all values before
//! ```
//!
//! A frame of the last n rows is cut into blocks of n. While a block fills, its running fold is kept; when it is full,
//! it is folded from its end to each of its places. Any frame is then the tail of one block and the head of the next:
//! one `join`, whatever n is, and at most three a row in all.
//!
//! Invariants:
//! - Nothing is ever subtracted. What left the frame left no trace: not a NaN, not an infinity, not 1e16.
//! - A recursion takes no value that is unknown, no number or infinite: that row has no result, no other row changes.
//! - The answer depends on the values alone, never on how they were cut into slices.
//! - Memory of a symbol is bounded by the rows of its frames.

mod count;
mod ema;
mod fold;
mod known;
mod previous;
#[cfg(test)]
mod property_tests;
mod queue;
mod recent;
#[cfg(test)]
mod recursion_tests;
mod wilder;
mod window;
mod zscore;

pub use count::NonNullCounter;
pub use ema::{Ema, Macd, MacdPeriods, MacdRow};
pub use fold::{Fold, Greatest, Least, Moments, MomentsState, Ranked, Sum};
pub use previous::{LaggedValues, LastSign};
pub use queue::FoldQueue;
pub use recent::{RecentValues, mean_and_deviation};
pub use wilder::{Atr, PriceRange, Rsi};
pub use window::{Frame, Frames};
pub use zscore::ZScore;
