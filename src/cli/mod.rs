//! The command line: clap derive only. Each group of flags puts itself into the settings' layers.

mod kafka;
mod query;
mod table;

pub use kafka::KafkaArgs;
pub use query::{FormatChoice, QueryArgs};
pub use table::TableArgs;
