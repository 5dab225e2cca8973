//! Small helpers that know nothing of ticks, tables or topics.

mod allocator;
pub mod crash;
pub mod delimiter;
pub mod priority;
pub mod secret;
pub mod suggest;
pub mod throttle;
pub mod units;
