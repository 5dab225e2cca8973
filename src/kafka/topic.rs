//! Queries a topic's identity and partitions, and creates topics.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataBroker;

use crate::kafka::client::KafkaSettings;
use crate::kafka::http_port::speaks_http;
use crate::kafka::raw::TopicIdQuery;
use crate::kafka::refusal::{BrokerErrors, BrokerRefusal, configuration_problem};
use crate::market::TopicIdentity;

/// Timeout of one query. The first ones are shorter: while librdkafka waits for a broker it reports nothing.
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause between two queries: librdkafka delivers its reports meanwhile, and not all brokers know a new topic at once.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Time until a guessed refusal is final. A proxy in front of a broker that is starting causes the same errors.
const UNCERTAIN_REFUSAL_TIMEOUT: Duration = Duration::from_secs(3);
/// Unanswered queries after which the port is probed for HTTP, so that a slow broker isn't probed.
const UNANSWERED: u32 = 2;
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
    #[error("connect to the brokers at {brokers}: {refusal}")]
    Refused { brokers: String, refusal: BrokerRefusal },
    #[error("find topic '{topic}': the brokers at {brokers} don't have it; create it or correct --topic")]
    NoTopic { topic: String, brokers: String },
    #[error("use topic '{topic}': access is denied; allow Describe and {right} on it")]
    Denied { topic: String, right: &'static str },
    #[error("read topic '{topic}': {detail}")]
    Read { topic: String, detail: String },
    #[error("create topic '{topic}' at {brokers}: {detail}; create it yourself or correct the number of partitions")]
    Create { topic: String, brokers: String, detail: String },
    #[error("configure the Kafka client: {0}")]
    Configuration(String),
}

impl TopicError {
    /// Returns true if the brokers may recover later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { refusal, .. } => !refusal.is_certain(),
            _ => false,
        }
    }

    /// Names the right that a writer lacks instead of the one that a reader lacks.
    pub fn of_writer(self) -> Self {
        match self {
            Self::Denied { topic, .. } => Self::Denied { topic, right: "Write" },
            other => other,
        }
    }

    /// Returns true if the brokers refuse the client: waiting for them is useless then.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// Queries the topic until a broker answers or `patience` is over. Blocks.
///
/// # Errors
/// No broker answers, the client is refused, or there is no such topic.
pub fn topic_info(settings: &KafkaSettings, patience: Duration) -> Result<TopicInfo, TopicError> {
    let mut config = settings.question_config();
    // Connections that are closed without a reason are logged at this level only.
    config.set_log_level(RDKafkaLogLevel::Info);
    let consumer: BaseConsumer<BrokerErrors> = config
        .create_with_context(BrokerErrors::new(&config))
        .map_err(|error| TopicError::Configuration(configuration_problem(&error)))?;
    let deadline = Instant::now() + patience;
    let mut answer = FIRST_TIMEOUT;
    let mut guessing_since: Option<Instant> = None;
    let mut unanswered = 0;
    loop {
        let wait = answer.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(100));
        answer = TIMEOUT.min(answer * 2);
        let error = match ask(&consumer, settings, wait) {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        drop(consumer.poll(RETRY_PAUSE));
        let reported = consumer.context().reported();
        let brokers = settings.brokers.clone();
        unanswered += 1;
        if unanswered == UNANSWERED && speaks_http(&brokers) {
            return Err(TopicError::Refused { brokers, refusal: BrokerRefusal::Http });
        }
        match reported.refusal {
            None => guessing_since = None,
            Some(refusal) => {
                let since = *guessing_since.get_or_insert_with(Instant::now);
                if refusal.is_certain() || since.elapsed() >= UNCERTAIN_REFUSAL_TIMEOUT {
                    return Err(TopicError::Refused { brokers, refusal });
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(TopicError::Unreachable { brokers, detail: reported.reason.unwrap_or(error) });
        }
    }
}

/// # Errors
/// No broker answered.
fn ask(
    consumer: &BaseConsumer<BrokerErrors>,
    settings: &KafkaSettings,
    wait: Duration,
) -> Result<Result<TopicInfo, TopicError>, String> {
    let metadata = consumer.fetch_metadata(Some(&settings.topic), wait).map_err(|error| error.to_string())?;
    let topic = metadata.topics().first();
    Ok(match topic.map(|topic| (topic.partitions().len(), topic.error().map(RDKafkaErrorCode::from))) {
        Some((partitions, None)) if partitions > 0 => {
            let brokers: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
            Ok(TopicInfo { identity: identity(consumer, &brokers, &settings.topic, wait)?, partitions })
        }
        Some((_, Some(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
            Err(TopicError::Denied { topic: settings.topic.clone(), right: "Read" })
        }
        // Brokers that start and those that elect a leader give such answers, which pass.
        Some((_, Some(code))) if !is_absent(code) => return Err(code.to_string()),
        _ => Err(TopicError::NoTopic { topic: settings.topic.clone(), brokers: settings.brokers.clone() }),
    })
}

fn is_absent(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidTopic, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, InvalidTopic | UnknownTopic | UnknownTopicOrPartition)
}

fn identity(
    consumer: &BaseConsumer<BrokerErrors>,
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
        found => return found.map_err(TopicError::of_writer),
    }
    create_topic(settings, partitions, replication)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match topic_info(settings, left) {
            // Brokers answer the creation before all of them know of the topic.
            Err(TopicError::NoTopic { .. }) if !left.is_zero() => std::thread::sleep(RETRY_PAUSE),
            answer => return answer.map_err(TopicError::of_writer),
        }
    }
}

fn create_topic(settings: &KafkaSettings, partitions: i32, replication: Option<i32>) -> Result<(), TopicError> {
    let admin: AdminClient<DefaultClientContext> = settings
        .question_config()
        .create()
        .map_err(|error| TopicError::Configuration(configuration_problem(&error)))?;
    let replication = TopicReplication::Fixed(replication.unwrap_or(DEFAULT_REPLICATION));
    let topic = NewTopic::new(&settings.topic, partitions, replication);
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
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
        let settings = broker.settings("ticks");
        let info = ensure_topic(&settings, 5, None, Duration::from_secs(10)).unwrap();
        assert_eq!(info.partitions, 3);
    }

    #[test]
    fn an_embedded_broker_reports_no_topic_id() {
        let broker = EmbeddedBroker::start(1, "ticks").unwrap();
        let settings = broker.settings("ticks");
        let identity = topic_info(&settings, Duration::from_secs(10)).unwrap().identity;
        assert!(identity.topic_id.is_none() && !identity.cluster_id.is_empty(), "{identity:?}");
    }

    #[test]
    fn unreachable_brokers_are_named() {
        let settings =
            KafkaSettings { brokers: "127.0.0.1:1".to_owned(), topic: "ticks".to_owned(), ..KafkaSettings::default() };
        let error = topic_info(&settings, Duration::from_millis(300)).unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
