//! The last rows of each symbol, read where they lie: `latest` on a table of any size.
//!
//! ```text
//!  FilterExec: row_number = 1                      FilterExec: row_number = 1
//!    window: row_number, lead                        window: row_number, lead
//!    PARTITION BY symbol ORDER BY ts DESC  ──rule──> FilterExec: ts >= ..
//!      FilterExec: ts >= ..                            LastTicksExec
//!        DataSourceExec                                  DataSourceExec, of the rows that were chosen
//! ```
//!
//! The operator is a filter: it gives at least the rows that can reach the result, so all above stays as it is. It goes
//! through the files from the newest on; whether a row group matters is decided by the dictionary page of its symbols,
//! a few hundred bytes. Of a file whose footer says that it is sorted, the rows that matter are the last of each run.

mod dictionary;
mod exec;
mod row_selection;
mod rule;

pub(in crate::query) use rule::LastRows;
