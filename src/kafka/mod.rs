//! The only module that names rdkafka.

pub mod client;
mod consumer;
mod raw;
mod reader;
mod topic;

pub use client::{KafkaSettings, KafkaSettingsError, Properties, SaslMechanism};
pub use consumer::{Assigned, Command, Consumer, Event, Handler, Record, TimeAnswer};
pub use reader::{Progress, Reader};
pub use topic::{TopicError, TopicInfo, topic_info};
