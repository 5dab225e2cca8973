//! Where ticks come from for `produce` and `demo`.
//!
//! A [`Feed`] yields messages one by one, without allocating for each: `simulate` invents them, `replay` reads files.
//! `wire` turns ticks into the bytes of a format, `pace` says when the next one is due, `send` is the loop that
//! brings them to Kafka, `resume` lets a later run of it go on.

mod feed;
mod pace;
pub mod replay;
mod resume;
mod send;
pub mod simulate;
pub mod wire;

pub use feed::{Feed, FeedError, FeedMessage};
pub use pace::Pace;
pub use resume::{ReplayPosition, ResumeError, ResumeSettings};
pub use send::{SendError, SendProgress, SendReport, SendSettings, send_feed};
