//! The messages that Kafka holds beyond the table: a topic is read from given offsets, outside of any group.
//!
//! ```text
//!  kafka::TopicFollower ── thread: decode with the lake's own mapping ──> TailChunk per partition
//!                                   │ bounded queue (16 batches); full = nothing is polled
//!                                   ▼
//!                     TailFollower::tails ──> live (rolling state per symbol), or the union:
//!
//!  TailStore: rows beyond the table's version ──> UnionView: files of a version + rows that this version doesn't have
//! ```

mod error;
mod follower;
mod mapping;
mod rows;
mod start;
mod store;
mod tail_event;
mod tail_reader;
#[cfg(test)]
mod tests;
mod union;
mod union_settings;
mod union_task;
mod view;

pub use error::UnionError;
pub use follower::{FollowError, FollowSettings, TailFollower};
pub use mapping::{MappingError, lake_input, lake_zone};
pub use rows::{TailBatch, as_read, read_schema};
pub use tail_event::{TailChunk, TailEvent};
pub use union::{CommitNotifier, TableUnion};
pub use union_settings::{DEFAULT_TAIL_BYTES, UnionSettings};
pub use view::{UnionMode, UnionView};
