//! Where ticks come from for `produce` and `demo`.
//!
//! A [`Feed`] yields messages one by one, without allocating for each: `simulate` invents them, `replay` reads files.
//! `wire` turns ticks into the bytes of a format, `pace` says when the next one is due, `send` is the loop that
//! brings them to Kafka, `resume` lets a later run of it go on.

mod pace;
pub mod replay;
mod resume;
mod send;
pub mod simulate;
pub mod wire;

pub use pace::Pace;
pub use resume::{ReplayPosition, ResumeError, ResumeSettings};
pub use send::{SendError, SendProgress, SendReport, SendSettings, send_feed};

/// One message, borrowed until the next. `ts` is the event time in microseconds since the epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeedMessage<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    pub ts: Option<i64>,
}

/// A source of messages.
pub trait Feed {
    /// # Errors
    /// The source can't be read, or holds something that is not a tick; the error names its location.
    fn next_message(&mut self) -> Result<Option<FeedMessage<'_>>, FeedError>;
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Replay(#[from] replay::ReplayError),
    #[error(transparent)]
    Encode(#[from] wire::EncodeError),
}
