//! Windows per symbol without a sort: the order that the files already have, and the kernels of `indicators`.
//!
//! ```text
//!  DataSourceExec: one piece of a file a partition ──> pieces decoded side by side, one task each, in order
//!                                                          │ rows split by a hash of the symbol
//!                                                          ▼
//!  TickOrderExec: files that overlap in time are merged ──> each symbol in one partition, its rows in order
//!                                                          │ TailMergeExec: rows beyond the files put in between
//!                                                          │ filters and projections keep that
//!                                                          ▼
//!  RollingExec: state per symbol, all windows of one operator, columns appended ──> filters, projections, RollingExec
//! ```
//!
//! A rule puts `RollingExec` in the place of DataFusion's window operator where every expression of it is
//! `PARTITION BY symbol[, trade_date] ORDER BY ts[, kafka_partition[, kafka_offset[, kafka_index]]]` over `ticks`, with
//! a ROWS frame that ends at or before the current row, and a function that `indicators` has. All else stays as it was.
//!
//! Invariants:
//! - Files are grouped by what overlaps in time: groups follow each other, so state is carried from date to date. A
//!   group of one file that says it is sorted streams. Of any other group, a file's rows are held until no file that
//!   is to come begins before them. That bounds memory by the files that overlap at one time and by symbols x frame,
//!   not by rows. Where these files would not fit into the memory of the session, DataFusion's operators stay: they
//!   spill.
//! - The output has no order that DataFusion may rely on: what is above and needs one sorts as ever.

mod exchange;
mod exec;
mod footer;
mod kernels;
mod merge;
mod order;
mod recursions;
mod rule;
mod span;
mod symbols;
mod tail;
mod windows;

pub(in crate::query) use footer::{MANY_ROWS, says_sorted};
pub(in crate::query) use merge::OrderKeys;
pub(in crate::query) use rule::{RollingWindows, SCHEME, origin, union_of, windows_of};
pub(in crate::query) use span::{FileSpan, spans};
pub(in crate::query) use symbols::SYMBOL;
pub(in crate::query) use windows::{distance_of, function_of};
