//! The only module that names rdkafka.

pub mod client;
mod consumer;
mod embedded;
mod producer;
mod raw;
mod reader;
mod refusal;
mod topic;

pub use client::{KafkaSettings, KafkaSettingsError, Properties, SaslMechanism};
pub use consumer::{Assigned, Command, Consumer, Event, Handler, Record, TimeAnswer};
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError};
pub use producer::{Delivered, Producer, ProducerError, ProducerRecord, Queued};
pub use reader::{Progress, Reader};
pub use refusal::Refusal;
pub use topic::{TopicError, TopicInfo, ensure_topic, topic_info};
