//! A broker in the same process, for `demo` and fast tests: librdkafka's mock cluster on a local port.
//!
//! Its limits: everything is in memory and ends with the process; of each partition only the last 100,000 messages
//! or 5 MiB are kept, so a reader that is slower than the producer for long meets a gap; an admin client can't create
//! topics.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};

use crate::kafka::client::KafkaSettings;
use crate::kafka::raw::skip_mock_rebalance_delay;

/// Number of the only broker.
const BROKER: i32 = 1;

/// Runs until it is dropped.
pub struct EmbeddedBroker {
    /// Owns the cluster; unlike a `MockCluster` it can be sent to other threads.
    client: BaseProducer,
    bootstrap_servers: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("start the embedded broker: {0}")]
pub struct EmbeddedBrokerError(String);

impl EmbeddedBroker {
    /// One broker with one topic.
    ///
    /// # Errors
    /// No local port, or no topic of this name and size.
    pub fn start(partitions: i32, topic: &str) -> Result<Self, EmbeddedBrokerError> {
        let wrong = |error: KafkaError| EmbeddedBrokerError(error.to_string());
        let client: BaseProducer = ClientConfig::new().set("test.mock.num.brokers", "1").create().map_err(wrong)?;
        skip_mock_rebalance_delay(client.client());
        let mut broker = Self { client, bootstrap_servers: String::new() };
        let cluster = broker.cluster()?;
        cluster.create_topic(topic, partitions, 1).map_err(wrong)?;
        let bootstrap_servers = cluster.bootstrap_servers();
        drop(cluster);
        broker.bootstrap_servers = bootstrap_servers;
        Ok(broker)
    }

    /// `host:port` for the clients.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// For clients of its topic of this name.
    pub fn settings(&self, topic: &str) -> KafkaSettings {
        let (brokers, topic) = (self.bootstrap_servers.clone(), topic.to_owned());
        KafkaSettings { brokers, topic, ..KafkaSettings::default() }
    }

    /// Makes the broker unreachable: it closes every connection and accepts none until it is reachable again.
    ///
    /// # Errors
    /// librdkafka refuses.
    pub fn cut_off(&self, is_cut_off: bool) -> Result<(), EmbeddedBrokerError> {
        let cluster = self.cluster()?;
        let changed = if is_cut_off { cluster.broker_down(BROKER) } else { cluster.broker_up(BROKER) };
        changed.map_err(|error| EmbeddedBrokerError(error.to_string()))
    }

    /// Gives a partition a leader, or takes it.
    ///
    /// # Errors
    /// librdkafka refuses.
    pub fn elect(&self, topic: &str, partition: i32, has_leader: bool) -> Result<(), EmbeddedBrokerError> {
        let elected = self.cluster()?.partition_leader(topic, partition, has_leader.then_some(BROKER));
        elected.map_err(|error| EmbeddedBrokerError(error.to_string()))
    }

    fn cluster(&self) -> Result<MockCluster<'_, DefaultProducerContext>, EmbeddedBrokerError> {
        let cluster = self.client.client().mock_cluster();
        cluster.ok_or_else(|| EmbeddedBrokerError("librdkafka was built without its mock cluster".to_owned()))
    }
}
