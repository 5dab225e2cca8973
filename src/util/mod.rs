//! Small helpers that know nothing of ticks, tables or topics.

mod allocator;
pub(crate) mod backoff;
pub mod crash;
pub mod delimiter;
pub mod priority;
pub mod secret;
pub mod suggest;
pub(crate) mod text_width;
pub mod throttle;
pub mod units;
