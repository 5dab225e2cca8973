//! The only module that names rdkafka.

mod consumer;
mod raw;

pub use consumer::{Assigned, Command, Consumer, Event, Handler, Record, TimeAnswer};
