//! The only module that runs SQL.

mod provider;
mod pruning;
mod session;

pub use provider::LakeTable;
pub use session::{DEAD_LETTERS, DEFAULT_MEMORY_BYTES, QuerySession, TICKS};
