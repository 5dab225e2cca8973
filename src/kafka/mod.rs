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
pub use events::{
    ConsumerCommand, ConsumerEvent, KafkaRecord, PartitionStart, PartitionWatermarks, RecordHandler, TimeAnswer,
    TopicIdAnswer,
};
pub use group::{GroupInfo, group_info};
pub use group_consumer::consumer::{ConsumerGone, GroupConsumer};
pub use producer::{DeliveryCounts, Producer, ProducerError, ProducerRecord, SendOutcome};
pub use refusal::BrokerRefusal;
pub use topic::{TopicError, TopicInfo, ensure_topic, topic_info};
pub use topic_reader::ends::{TopicEnds, topic_ends};
pub use topic_reader::follower::{FollowerEvent, TopicFollower};
pub use topic_reader::reader::{ReadProgress, TopicReader};
pub use transactional_producer::{CommittedPosition, TransactionError, TransactionalProducer};
