//! Where ticks come from for `produce`: a simulated market, files, and the wire formats they are written in.

mod pace;
mod replay;
mod run;
mod simulate;
mod wire;

pub use pace::{Pace, Schedule};
pub use replay::{Replay, ReplayColumns, ReplayError, ReplayMessage};
pub use run::{FeedError, Limits, Sent, replay, simulate};
pub use simulate::{SimulateSettings, Simulator};
pub use wire::write_message;
