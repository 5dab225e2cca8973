//! librdkafka's mock cluster as a broker inside of the process, for the demo and for fast tests.
//!
//! It keeps the last 100,000 messages or 5 MiB of a partition, in memory; it knows no retention settings, no TLS,
//! no compaction and no aborted transactions.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// # Errors
    /// librdkafka can't open a port on the loopback interface, or refuses the topic.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, String> {
        let cluster = MockCluster::new(1).map_err(|error| error.to_string())?;
        cluster.create_topic(topic, partitions, 1).map_err(|error| error.to_string())?;
        Ok(Self { cluster })
    }

    /// `host:port`
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
