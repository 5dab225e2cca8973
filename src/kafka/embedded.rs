//! A broker inside the process, for `demo` and fast tests: librdkafka's mock cluster on a local port.
//!
//! Its limits: everything is in memory and ends with the process; of each partition only the last 100,000 messages
//! or 5 MiB are kept, so a reader that is slower than the producer for long meets a gap; an admin client can't create
//! topics.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};

use super::raw::skip_mock_rebalance_delay;

/// Runs until it is dropped.
pub struct EmbeddedBroker {
    /// Owns the cluster; unlike a `MockCluster` it can be sent to other threads.
    _client: BaseProducer,
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
        let cluster = client
            .client()
            .mock_cluster()
            .ok_or_else(|| EmbeddedBrokerError("librdkafka was built without its mock cluster".to_owned()))?;
        cluster.create_topic(topic, partitions, 1).map_err(wrong)?;
        let bootstrap_servers = cluster.bootstrap_servers();
        drop(cluster);
        skip_mock_rebalance_delay(client.client());
        Ok(Self { _client: client, bootstrap_servers })
    }

    /// `host:port` for the clients.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}
