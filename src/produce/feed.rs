//! A source of messages, and one of its messages.

use crate::produce::replay::ReplayError;
use crate::produce::wire::EncodeError;

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
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
