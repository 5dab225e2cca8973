//! What a broker knows about a topic, asked once at start; and the creation of one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataBroker;

use super::client::KafkaSettings;
use super::raw::TopicIdQuery;
use crate::market::TopicIdentity;

/// One question to a broker.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two questions: not all brokers know a new topic at once.
const PAUSE: Duration = Duration::from_millis(100);
/// librdkafka's word for "as many replicas as the brokers make by default".
const DEFAULT_REPLICATION: i32 = -1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub identity: TopicIdentity,
    pub partitions: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("reach the brokers at {brokers}: {detail}; check --brokers and the network")]
    Unreachable { brokers: String, detail: String },
    #[error("log in to the brokers at {brokers}: {detail}; check user, password and mechanism")]
    Authentication { brokers: String, detail: String },
    #[error("encrypt the connection to the brokers at {brokers}: {detail}; check --tls, --ca and the certificate")]
    Tls { brokers: String, detail: String },
    #[error("find topic '{topic}': the brokers at {brokers} don't have it; create it or correct --topic")]
    NoTopic { topic: String, brokers: String },
    #[error("read topic '{topic}': access is denied; allow Describe and Read on it")]
    Denied { topic: String },
    #[error("create topic '{topic}' at {brokers}: {detail}; create it yourself or correct the number of partitions")]
    Create { topic: String, brokers: String, detail: String },
    #[error("configure the Kafka client: {0}")]
    Configuration(String),
}

impl TopicError {
    /// The brokers may be back later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Keeps what librdkafka reports beside the answers: why no broker can be reached.
#[derive(Default)]
struct Trouble {
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ClientContext for Trouble {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::trace!(target: "librdkafka", ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut last = self.last.lock().expect("nobody panics with the lock");
        // "All brokers are down" follows the error that says why.
        if last.is_none() || code != RDKafkaErrorCode::AllBrokersDown {
            *last = Some((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Trouble {}

/// Asks until there is an answer or `patience` is over. Blocks.
///
/// # Errors
/// No broker answers, the log-in is refused, or there is no such topic.
pub fn topic_info(settings: &KafkaSettings, patience: Duration) -> Result<TopicInfo, TopicError> {
    let consumer: BaseConsumer<Trouble> = settings
        .client_config()
        .create_with_context(Trouble::default())
        .map_err(|error| TopicError::Configuration(error.to_string()))?;
    let deadline = Instant::now() + patience;
    loop {
        // Serves the error callback.
        drop(consumer.poll(Duration::ZERO));
        let wait = ANSWER.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(100));
        let error = match consumer.fetch_metadata(Some(&settings.topic), wait) {
            Ok(metadata) => {
                let topic = metadata.topics().first();
                match topic.map(|topic| (topic.partitions().len(), topic.error().map(RDKafkaErrorCode::from))) {
                    Some((partitions, None)) if partitions > 0 => {
                        let brokers: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
                        match identity(&consumer, &brokers, &settings.topic, wait) {
                            Ok(identity) => return Ok(TopicInfo { identity, partitions }),
                            Err(detail) => detail,
                        }
                    }
                    Some((_, Some(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                        return Err(TopicError::Denied { topic: settings.topic.clone() });
                    }
                    _ => {
                        let (topic, brokers) = (settings.topic.clone(), settings.brokers.clone());
                        return Err(TopicError::NoTopic { topic, brokers });
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        drop(consumer.poll(Duration::ZERO));
        let trouble = consumer.context().last.lock().expect("nobody panics with the lock").clone();
        let brokers = settings.brokers.clone();
        match trouble {
            Some((RDKafkaErrorCode::Authentication, detail)) => {
                return Err(TopicError::Authentication { brokers, detail });
            }
            Some((RDKafkaErrorCode::SSL, detail)) => return Err(TopicError::Tls { brokers, detail }),
            trouble if Instant::now() >= deadline => {
                let detail = trouble.map_or(error, |(_, reason)| reason);
                return Err(TopicError::Unreachable { brokers, detail });
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}

fn identity(
    consumer: &BaseConsumer<Trouble>,
    brokers: &[i32],
    topic: &str,
    wait: Duration,
) -> Result<TopicIdentity, String> {
    let client = consumer.client();
    let cluster_id = client.fetch_cluster_id(wait).ok_or("the cluster has no id")?;
    let query = TopicIdQuery::start(client, brokers, topic, wait)?;
    let topic_id = query.map_or(Ok(None), TopicIdQuery::wait).map_err(|error| error.to_string())?;
    Ok(TopicIdentity { cluster_id, topic_id })
}

/// Creates the topic if there is none; one that exists keeps its partitions. Blocks.
///
/// # Errors
/// See [`topic_info`]; or the brokers refuse to create it.
pub fn ensure_topic(
    settings: &KafkaSettings,
    partitions: i32,
    replication: Option<i32>,
    patience: Duration,
) -> Result<TopicInfo, TopicError> {
    let deadline = Instant::now() + patience;
    match topic_info(settings, patience) {
        Err(TopicError::NoTopic { .. }) => {}
        found => return found,
    }
    create_topic(settings, partitions, replication)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match topic_info(settings, left) {
            // Brokers answer the creation before all of them know of the topic.
            Err(TopicError::NoTopic { .. }) if !left.is_zero() => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn create_topic(settings: &KafkaSettings, partitions: i32, replication: Option<i32>) -> Result<(), TopicError> {
    let admin: AdminClient<DefaultClientContext> =
        settings.client_config().create().map_err(|error| TopicError::Configuration(error.to_string()))?;
    let replication = TopicReplication::Fixed(replication.unwrap_or(DEFAULT_REPLICATION));
    let topic = NewTopic::new(&settings.topic, partitions, replication);
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    let refused = |detail: String| TopicError::Create {
        topic: settings.topic.clone(),
        brokers: settings.brokers.clone(),
        detail,
    };
    let results = futures::executor::block_on(admin.create_topics([&topic], &options))
        .map_err(|error| refused(error.to_string()))?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(refused(code.to_string())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::EmbeddedBroker;

    #[test]
    fn an_existing_topic_keeps_its_partitions() {
        let broker = EmbeddedBroker::start(3, "ticks").unwrap();
        let settings = KafkaSettings {
            brokers: broker.bootstrap_servers().to_owned(),
            topic: "ticks".to_owned(),
            ..KafkaSettings::default()
        };
        let info = ensure_topic(&settings, 5, None, Duration::from_secs(10)).unwrap();
        assert_eq!(info.partitions, 3);
    }

    #[test]
    fn an_embedded_broker_does_not_tell_the_topic_s_id() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let brokers = broker.bootstrap_servers().to_owned();
        let settings = KafkaSettings { brokers, topic: "ticks".to_owned(), ..KafkaSettings::default() };
        let identity = topic_info(&settings, Duration::from_secs(10)).unwrap().identity;
        assert!(identity.topic_id.is_none() && !identity.cluster_id.is_empty(), "{identity:?}");
    }

    #[test]
    fn brokers_that_are_away_are_named() {
        let settings =
            KafkaSettings { brokers: "127.0.0.1:1".to_owned(), topic: "ticks".to_owned(), ..KafkaSettings::default() };
        let error = topic_info(&settings, Duration::from_millis(300)).unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
