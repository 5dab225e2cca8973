//! The settings of the Kafka connection, and the librdkafka configurations that are built from them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use rdkafka::config::ClientConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kafka::refusal::{MECHANISM, configuration_problem};
use crate::util::secret::Secret;

/// The `[kafka]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct KafkaSettings {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    pub topic: String,
    /// Consumer group. Default: `tickhouse-` and the first 8 characters of the table id.
    pub group: Option<String>,
    /// Static membership: a restart within the session timeout causes no rebalance.
    pub instance_id: Option<String>,
    /// Encrypts the connection. Implied by a CA or a client certificate.
    pub tls: bool,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// SASL: user, password and mechanism.
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub mechanism: SaslMechanism,
    /// Any other librdkafka property.
    pub properties: Properties,
}

/// The mechanisms that the client supports. OAUTHBEARER would need a token, which nothing fetches yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    #[value(name = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no mechanism is hidden").get_name())
    }
}

/// librdkafka properties by name. Passwords, secrets and keys among them are masked wherever they show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

/// A property is text, an integer or a boolean; an error doesn't show any other value.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a property is text in quotes, a whole number or true or false")]
enum PropertyValue {
    Text(String),
    Number(i64),
    Switch(bool),
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, PropertyValue>::deserialize(deserializer)?;
        let text = |value| match value {
            PropertyValue::Text(text) => text,
            PropertyValue::Number(number) => number.to_string(),
            PropertyValue::Switch(switch) => switch.to_string(),
        };
        Ok(Self(values.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }
}

impl Properties {
    /// Decides by the name of the property.
    pub fn is_secret(name: &str) -> bool {
        let secret = ["password", "passphrase", "secret", "token", ".pem", "oauthbearer.config", "jaas"];
        secret.iter().any(|word| name.contains(word))
    }

    fn masked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), if Self::is_secret(name) { "***" } else { value.as_str() }))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.masked()).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.masked())
    }
}

/// A setting that is not valid; the message names it and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka.{key}: {problem}")]
pub struct KafkaSettingsError {
    pub key: String,
    pub problem: String,
}

/// Properties that the exactly-once protocol depends on; they can't be configured.
const OWNED: [&str; 12] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.instance.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "enable.idempotence",
    "isolation.level",
    "transactional.id",
];

/// A host, with a port or without.
fn is_broker(broker: &str) -> bool {
    let (host, port) = match broker.rsplit_once(':') {
        Some((host, port)) if !broker.ends_with(']') => (host, Some(port)),
        _ => (broker, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    !host.is_empty() && !host.contains(['/', ' ', '@']) && port.is_none_or(is_port)
}

impl KafkaSettings {
    /// # Errors
    /// The first setting that can't work.
    pub fn validate(&self) -> Result<(), KafkaSettingsError> {
        let error =
            |key: &str, problem: &str| Err(KafkaSettingsError { key: key.to_owned(), problem: problem.to_owned() });
        if self.brokers.trim().is_empty() {
            return error("brokers", "missing; set --brokers host:9092");
        }
        if let Some(broker) = self.brokers.split(',').map(str::trim).find(|broker| !is_broker(broker)) {
            return error("brokers", &format!("'{broker}' is no broker; write host:port, as in kafka:9092"));
        }
        for (key, value) in [("group", &self.group), ("instance_id", &self.instance_id)] {
            if value.as_ref().is_some_and(String::is_empty) {
                return error(key, "empty; name it, or leave it out");
            }
        }
        if self.topic.is_empty() {
            return error("topic", "missing; set --topic NAME");
        }
        if self.username.is_some() != self.password.is_some() {
            return error(
                "username",
                "user name and password go together; set both --username and TICKHOUSE_KAFKA_PASSWORD (or .._FILE), or \
                 neither",
            );
        }
        if self.certificate.is_some() != self.key.is_some() {
            return error("certificate", "certificate and key go together; set both or neither");
        }
        for (key, file) in [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)] {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                return error(key, &format!("there is no file {}; correct the path", file.display()));
            }
        }
        if let Some(name) = self.properties.0.keys().find(|name| OWNED.contains(&name.as_str())) {
            return error(&format!("properties.{name}"), "tickhouse sets it itself; remove it");
        }
        if let Some((name, _)) = self.properties.0.iter().find(|(name, value)| {
            matches!(name.as_str(), "sasl.mechanism" | MECHANISM) && SaslMechanism::from_str(value, false).is_err()
        }) {
            let known: Vec<String> = SaslMechanism::value_variants().iter().map(ToString::to_string).collect();
            let problem = format!("not a mechanism of tickhouse; use one of {}", known.join(", "));
            return error(&format!("properties.{name}"), &problem);
        }
        match self.client_config().create_native_config() {
            Ok(_) => Ok(()),
            Err(wrong) => error("properties", &format!("{}; correct it", configuration_problem(&wrong))),
        }
    }

    /// Called by commands that are about to connect, after all of their settings were validated.
    pub fn warn_of_plaintext(&self) {
        if self.is_plaintext_off_loopback() {
            tracing::warn!("the connection to Kafka is not encrypted; set --tls");
        }
    }

    /// Returns true if the connection is not encrypted and a broker is not on this machine.
    fn is_plaintext_off_loopback(&self) -> bool {
        let local = |broker: &str| {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
            matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        };
        let protocol =
            self.properties.0.get("security.protocol").is_some_and(|protocol| protocol.to_lowercase().contains("ssl"));
        let mut named = self.brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty());
        !self.uses_tls() && !protocol && !named.all(local)
    }

    fn uses_tls(&self) -> bool {
        self.tls || self.ca.is_some() || self.certificate.is_some()
    }

    /// The configuration of every client.
    pub fn client_config(&self) -> ClientConfig {
        self.over(&[])
    }

    /// For one question: connects to every broker. What waits for the controller otherwise makes librdkafka connect to
    /// it without a pause while it is gone.
    pub(in crate::kafka) fn question_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config.set("enable.sparse.connections", "false");
        config
    }

    /// The client's settings on top of defaults. Not by `ClientConfig::config_map`, which masks passwords: a copy
    /// made with it logs in with the mask.
    fn over(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.brokers).set("client.id", "tickhouse");
        // A broker that is gone is tried again soon after it is back, and not more than once a second by the two
        // connections that a client may have to it. librdkafka draws pauses from 75 % of the first value on.
        if !self.properties.0.contains_key("reconnect.backoff.max.ms") {
            config.set("reconnect.backoff.ms", "2000").set("reconnect.backoff.max.ms", "3000");
        }
        config.set("topic.metadata.refresh.interval.ms", "30000");
        let protocol = match (self.uses_tls(), self.username.is_some()) {
            (false, false) => None,
            (true, false) => Some("ssl"),
            (false, true) => Some("sasl_plaintext"),
            (true, true) => Some("sasl_ssl"),
        };
        if let Some(protocol) = protocol {
            config.set("security.protocol", protocol);
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            config.set(MECHANISM, self.mechanism.to_string());
            config.set("sasl.username", username).set("sasl.password", password.reveal());
        }
        let files = [
            ("ssl.ca.location", &self.ca),
            ("ssl.certificate.location", &self.certificate),
            ("ssl.key.location", &self.key),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        for (name, value) in &self.properties.0 {
            // An alias would be a second value, and chance would decide which one counts.
            config.set(if name == "sasl.mechanism" { MECHANISM } else { name }, value);
        }
        config
    }

    /// The configuration of a group consumer whose offsets tickhouse manages.
    pub fn consumer_config(&self, group: &str) -> ClientConfig {
        let defaults = [
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "3000"),
            ("check.crcs", "true"),
            // Payloads that were fetched and not decoded. librdkafka keeps about 500 bytes for each message in
            // addition, and a response more than the limit, unpacked; its size is that of `FetchSize`.
            ("queued.max.messages.kbytes", "2048"),
            ("queued.min.messages", "100000"),
            ("fetch.message.max.bytes", "1048576"),
            ("fetch.wait.max.ms", "100"),
            // The default of 1 s stalls a reader that fills its queue.
            ("fetch.queue.backoff.ms", "10"),
        ];
        let mut config = self.over(&defaults);
        let protocol = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            // The batch call takes an end-of-partition mark for a record: it moves the position one too far, and the
            // next rebalance, which resumes from the position, skips a record (librdkafka 2.12).
            ("enable.partition.eof", "false"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ];
        for (name, value) in protocol {
            config.set(name, value);
        }
        if let Some(instance) = &self.instance_id {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// The configuration of an idempotent producer: a retry can't write a message twice.
    pub fn producer_config(&self) -> ClientConfig {
        let defaults = [
            ("compression.type", "lz4"),
            ("linger.ms", "10"),
            ("batch.size", "1000000"),
            ("queue.buffering.max.messages", "500000"),
            ("queue.buffering.max.kbytes", "131072"),
        ];
        let mut config = self.over(&defaults);
        config.set("enable.idempotence", "true").set("acks", "all");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings { brokers: "localhost:9092".to_owned(), topic: "ticks".to_owned(), ..KafkaSettings::default() }
    }

    #[test]
    fn secrets_don_t_show() {
        let mut settings = KafkaSettings { password: Some(Secret::new("hunter2")), ..settings() };
        settings.properties.0.insert("ssl.key.password".to_owned(), "hunter3".to_owned());
        let text = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn passwords_reach_librdkafka() {
        let mut settings = settings();
        (settings.username, settings.password) = (Some("u".to_owned()), Some(Secret::new("hunter2")));
        settings.properties.0.insert("ssl.key.password".to_owned(), "hunter3".to_owned());
        for config in [settings.client_config(), settings.consumer_config("g"), settings.producer_config()] {
            assert_eq!(config.get("sasl.password"), Some("hunter2"));
            assert_eq!(config.get("ssl.key.password"), Some("hunter3"));
        }
    }

    #[test]
    fn what_the_protocol_needs_can_t_be_changed() {
        let mut settings = settings();
        settings.properties.0.insert("auto.offset.reset".to_owned(), "earliest".to_owned());
        assert_eq!(settings.validate().unwrap_err().key, "properties.auto.offset.reset");
    }

    #[test]
    fn the_user_s_properties_win_over_defaults() {
        let mut settings = settings();
        settings.properties.0.insert("session.timeout.ms".to_owned(), "6000".to_owned());
        let config = settings.consumer_config("g");
        assert_eq!(config.get("session.timeout.ms"), Some("6000"));
        assert_eq!(config.get("enable.auto.commit"), Some("false"));
    }

    #[test]
    fn plaintext_is_noticed_off_loopback_only() {
        assert!(!settings().is_plaintext_off_loopback());
        let remote = KafkaSettings { brokers: "localhost:9092,kafka.example:9092".to_owned(), ..settings() };
        assert!(remote.is_plaintext_off_loopback());
        assert!(!KafkaSettings { tls: true, ..remote }.is_plaintext_off_loopback());
    }
}
