//! Flags for the connection to Kafka.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::pair;
use crate::cli::settings::Layers;
use crate::kafka::SaslMechanism;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Bootstrap brokers, separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Topic of the ticks
    #[arg(long)]
    pub topic: Option<String>,
    /// Encrypt the connection
    #[arg(long)]
    pub tls: bool,
    /// PEM file of the trusted certificate authorities [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// PEM file of the client key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// SASL user; the password comes from TICKHOUSE_KAFKA_PASSWORD or TICKHOUSE_KAFKA_PASSWORD_FILE
    #[arg(long, value_name = "USER")]
    pub username: Option<String>,
    /// SASL mechanism [default: SCRAM-SHA-512]
    #[arg(long, value_name = "NAME")]
    pub mechanism: Option<SaslMechanism>,
    /// Any librdkafka property, as in -X socket.timeout.ms=10000
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = pair)]
    pub properties: Vec<(String, String)>,
}

impl KafkaArgs {
    pub fn apply(&self, layers: &mut Layers) {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        layers.flag("kafka.brokers", "--brokers", self.brokers.clone());
        layers.flag("kafka.topic", "--topic", self.topic.clone());
        layers.flag("kafka.tls", "--tls", self.tls.then_some(true));
        layers.flag("kafka.ca", "--ca", path(&self.ca));
        layers.flag("kafka.certificate", "--certificate", path(&self.certificate));
        layers.flag("kafka.key", "--key", path(&self.key));
        layers.flag("kafka.username", "--username", self.username.clone());
        layers.flag("kafka.mechanism", "--mechanism", self.mechanism.map(|mechanism| mechanism.to_string()));
        for (name, value) in &self.properties {
            layers.property(name, value, "-X");
        }
    }
}
