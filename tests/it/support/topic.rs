//! A topic of its own for each test, and a producer that knows which offset each message got.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use tickhouse::kafka::{EmbeddedBroker, KafkaSettings, Properties, TopicReader, ensure_topic, topic_info};
use tickhouse::market::TopicIdentity;
use uuid::Uuid;

use super::{PATIENCE, log, setting};

pub struct Topic {
    pub kafka: KafkaSettings,
    pub partitions: i32,
    producer: BaseProducer<Acknowledged>,
    _embedded: Option<EmbeddedBroker>,
}

/// A message as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub partition: i32,
    pub offset: i64,
    pub payload: Option<Vec<u8>>,
}

#[derive(Default)]
struct Acknowledged {
    sent: Mutex<Vec<Sent>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = result.as_ref().expect("the broker takes every message");
        let payload = message.payload().map(<[u8]>::to_vec);
        self.sent.lock().unwrap().push(Sent { partition: message.partition(), offset: message.offset(), payload });
    }
}

/// One message of a test.
#[derive(Debug, Clone, Default)]
pub struct Outgoing<'a> {
    pub partition: i32,
    pub payload: Option<&'a [u8]>,
    pub key: Option<&'a [u8]>,
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

impl Topic {
    pub fn is_embedded() -> bool {
        setting("TICKHOUSE_TEST_BROKERS").is_none()
    }

    pub fn new(partitions: i32) -> Self {
        let name = format!("it-{}", Uuid::new_v4());
        Self::named(&name, partitions)
    }

    pub fn named(name: &str, partitions: i32) -> Self {
        log::listen();
        let settings = |brokers: &str| KafkaSettings {
            brokers: brokers.to_owned(),
            topic: name.to_owned(),
            properties: properties(),
            ..KafkaSettings::default()
        };
        let (kafka, embedded) = match setting("TICKHOUSE_TEST_BROKERS") {
            Some(brokers) => {
                let kafka = settings(&brokers);
                ensure_topic(&kafka, partitions, Some(1), PATIENCE).unwrap();
                (kafka, None)
            }
            None => {
                let broker = EmbeddedBroker::start(partitions, name).unwrap();
                (settings(broker.bootstrap_servers()), Some(broker))
            }
        };
        let producer = producer(&kafka, &[]);
        Self { kafka, partitions, producer, _embedded: embedded }
    }

    /// Its messages are sent in transactions: [`Self::begin`], then [`Self::end`].
    pub fn transactional(partitions: i32) -> Self {
        let topic = Self::new(partitions);
        let producer = producer(&topic.kafka, &[("transactional.id", &topic.kafka.topic)]);
        producer.init_transactions(PATIENCE).unwrap();
        Self { producer, ..topic }
    }

    /// Sends to `other` from now on.
    pub fn writing_to(mut self, other: &Self) -> Self {
        self.kafka = other.kafka.clone();
        self
    }

    pub fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub fn end(&self, commit: bool) {
        if commit {
            self.producer.commit_transaction(PATIENCE).unwrap();
        } else {
            self.producer.abort_transaction(PATIENCE).unwrap();
        }
    }

    /// Sends and waits for the acknowledgements; sorted by partition and offset.
    pub fn send_all<'a>(&self, messages: impl IntoIterator<Item = Outgoing<'a>>) -> Vec<Sent> {
        for message in messages {
            let headers = message
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, &(key, value)| headers.insert(Header { key, value: Some(value) }));
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord {
                topic: &self.kafka.topic,
                partition: Some(message.partition),
                payload: message.payload,
                key: message.key,
                timestamp: message.timestamp,
                headers: (!message.headers.is_empty()).then_some(headers),
                delivery_opaque: (),
            };
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
            self.producer.poll(Duration::ZERO);
        }
        self.producer.flush(PATIENCE).unwrap();
        let mut sent = std::mem::take(&mut *self.producer.context().sent.lock().unwrap());
        sent.sort();
        sent
    }

    /// Payloads, one after the other over the partitions.
    pub fn send<T: AsRef<[u8]>>(&self, payloads: &[T]) -> Vec<Sent> {
        self.send_all((0..self.partitions).cycle().zip(payloads).map(|(partition, payload)| Outgoing {
            partition,
            payload: Some(payload.as_ref()),
            ..Outgoing::default()
        }))
    }

    /// Deletes the topic and creates it anew, empty; an embedded broker becomes another cluster by that.
    pub async fn recreate(self) -> Self {
        let (name, partitions) = (self.kafka.topic.clone(), self.partitions);
        if !Self::is_embedded() {
            let admin: AdminClient<DefaultClientContext> = self.kafka.client_config().create().unwrap();
            let deleted = admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap();
            deleted.into_iter().for_each(|topic| drop(topic.unwrap()));
            // The brokers answer before all of them have forgotten it.
            while topic_info(&self.kafka, PATIENCE).is_ok() {}
        }
        drop(self);
        Self::named(&name, partitions)
    }

    /// Drops the first messages of every partition; not in the embedded broker.
    pub async fn delete_before(&self, offset: i64) {
        let admin: AdminClient<DefaultClientContext> = self.kafka.client_config().create().unwrap();
        let mut offsets = TopicPartitionList::new();
        for partition in 0..self.partitions {
            offsets.add_partition_offset(&self.kafka.topic, partition, Offset::Offset(offset)).unwrap();
        }
        admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();
    }

    pub fn identity(&self) -> TopicIdentity {
        topic_info(&self.kafka, PATIENCE).unwrap().identity
    }

    /// First offset of the first partition that the broker holds.
    pub fn low(&self) -> i64 {
        TopicReader::open(&self.kafka, PATIENCE).unwrap().partitions()[0].low
    }

    /// The flags that say which topic this is.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = ["--brokers", &self.kafka.brokers, "--topic", &self.kafka.topic].map(str::to_owned).to_vec();
        for (name, value) in properties().0 {
            flags.extend(["-X".to_owned(), format!("{name}={value}")]);
        }
        flags
    }
}

fn producer(kafka: &KafkaSettings, properties: &[(&str, &str)]) -> BaseProducer<Acknowledged> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("linger.ms", "1");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    config.create_with_context(Acknowledged::default()).unwrap()
}

/// The embedded broker waits for a session timeout until a group whose member has left takes the next one.
fn properties() -> Properties {
    let short = [("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "300")];
    let short = short.into_iter().filter(|_| Topic::is_embedded());
    Properties(short.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A canonical message whose values follow from its number.
pub fn tick(number: usize) -> String {
    let symbol = ["AAPL", "MSFT", "a/b=c ~%", "Ünïcode"][number % 4];
    let (second, millis) = ((number / 1_000) % 60, number % 1_000);
    format!(
        r#"{{"symbol":"{symbol}","ts":"2026-01-0{}T14:30:{second:02}.{millis:03}Z","close":{}.25,"volume":{number}}}"#,
        5 + number % 3,
        100 + number
    )
}

pub fn ticks(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(tick).collect()
}
