//! What Kafka holds beyond the table: a topic read from given offsets, outside of any group.
//!
//! ```text
//!  kafka::Following ── thread: decode with the lake's own mapping ──> Chunk per partition
//!                                   │ bounded queue (16 batches); full = nothing is polled
//!                                   ▼
//!                     Follower::tails ──> live (rolling state per symbol), or the union:
//!
//!  Store: rows beyond the table's version ──> UnionView: files of a version + rows that this version doesn't have
//! ```

mod beginning;
mod chunk;
mod error;
mod follower;
mod mapping;
mod reading;
mod rows;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod union;
mod union_settings;
mod view;

pub use chunk::{Chunk, Tail};
pub use error::UnionError;
pub use follower::{FollowError, FollowSettings, Follower};
pub use mapping::{MappingError, lake_input, lake_zone};
pub use rows::{TailBatch, as_read, read_schema};
pub use union::{Hint, Union};
pub use union_settings::{DEFAULT_TAIL_BYTES, UnionSettings};
pub use view::{Mode, UnionView};
