//! The only module that names rdkafka.

pub mod client;
mod consumer;
#[cfg(test)]
mod consumer_tests;
mod embedded;
mod ends;
mod events;
mod fetch_size;
mod following;
#[cfg(test)]
mod following_tests;
mod group;
mod http_port;
mod notice;
mod producer;
mod raw;
mod reader;
mod refusal;
mod topic;
mod worker;

pub use client::{KafkaSettings, KafkaSettingsError, Properties, SaslMechanism};
pub use consumer::{Consumer, ConsumerGone};
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError};
pub use ends::{TopicEnds, topic_ends};
pub use events::{Assigned, Command, Event, Handler, Record, Start, TimeAnswer, TopicIdAnswer};
pub use following::{Following, News};
pub use group::{GroupInfo, group_info};
pub use producer::{Delivered, Producer, ProducerError, ProducerRecord, Queued};
pub use reader::{Progress, Reader};
pub use refusal::Refusal;
pub use topic::{TopicError, TopicInfo, ensure_topic, topic_info};
