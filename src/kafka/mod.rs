//! The only module that names rdkafka.

pub mod client;
mod embedded;
mod events;
mod group;
mod group_consumer;
mod http_port;
mod producer;
mod raw;
mod refusal;
mod topic;
mod topic_reader;
mod transactional_producer;

pub use client::{KafkaSettings, KafkaSettingsError, Properties, SaslMechanism};
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError};
pub use events::{Assigned, Command, Event, Handler, Record, Start, TimeAnswer, TopicIdAnswer};
pub use group::{GroupInfo, group_info};
pub use group_consumer::consumer::{Consumer, ConsumerGone};
pub use producer::{Delivered, Producer, ProducerError, ProducerRecord, Queued};
pub use refusal::Refusal;
pub use topic::{TopicError, TopicInfo, ensure_topic, topic_info};
pub use topic_reader::ends::{TopicEnds, topic_ends};
pub use topic_reader::following::{Following, News};
pub use topic_reader::reader::{Progress, Reader};
pub use transactional_producer::{CommittedPosition, TransactionError, TransactionalProducer};
