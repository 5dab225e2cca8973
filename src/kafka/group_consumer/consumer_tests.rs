//! What the consumer thread does when the brokers answer with errors and rebalances.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::kafka::client::KafkaSettings;
use crate::kafka::events::{ConsumerCommand, ConsumerEvent, KafkaRecord, PartitionStart, RecordHandler};
use crate::kafka::group_consumer::consumer::GroupConsumer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeenRecord {
    Record(i64),
    Reached(i64),
}

/// Records the calls of the consumer.
#[derive(Default)]
struct RecordingHandler {
    seen: Vec<SeenRecord>,
    /// Receives the partitions that were released.
    released: Option<mpsc::Sender<i32>>,
}

impl RecordingHandler {
    fn with_released() -> (Self, mpsc::Receiver<i32>) {
        let (sender, released) = mpsc::channel(64);
        (Self { released: Some(sender), ..Self::default() }, released)
    }
}

impl RecordHandler for RecordingHandler {
    type Output = Vec<SeenRecord>;

    fn start(&mut self, _: i32, _: u64, _: i64) {}

    fn release(&mut self, partition: i32) {
        if let Some(released) = &self.released {
            released.try_send(partition).unwrap();
        }
    }

    fn record(&mut self, record: &KafkaRecord<'_>) {
        self.seen.push(SeenRecord::Record(record.offset()));
    }

    fn reached(&mut self, _: i32, offset: i64, _: Option<i32>) {
        if self.seen.last() != Some(&SeenRecord::Reached(offset)) {
            self.seen.push(SeenRecord::Reached(offset));
        }
    }

    fn take(&mut self) -> Option<Vec<SeenRecord>> {
        (!self.seen.is_empty()).then(|| std::mem::take(&mut self.seen))
    }
}

fn kafka(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>) -> KafkaSettings {
    KafkaSettings { brokers: cluster.bootstrap_servers(), topic: "ticks".to_owned(), ..KafkaSettings::default() }
}

/// Starts these (partition, generation, offset) triples.
fn start(starts: &[(i32, u64, i64)]) -> ConsumerCommand {
    let start =
        |&(partition, generation, offset): &_| PartitionStart { partition, generation, offset, leader_epoch: None };
    ConsumerCommand::Start(starts.iter().map(start).collect())
}

fn client() -> BaseProducer {
    ClientConfig::new().set("test.mock.num.brokers", "1").create().unwrap()
}

fn send(kafka: &KafkaSettings, messages: usize) {
    let producer: BaseProducer = kafka.client_config().create().unwrap();
    for number in 0..messages {
        let payload = number.to_string();
        producer.send(BaseRecord::<(), str>::to("ticks").partition(0).payload(&payload)).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

/// A fetch that fails says nothing about the record at its offset.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fetch_reaches_nothing() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 5);
    let mut consumer = GroupConsumer::start(&kafka, "group", false, RecordingHandler::default()).unwrap();
    let (mut next, mut failed, mut late) = (0, false, Vec::new());
    let waiting = async {
        while next < 10 {
            match consumer.events.recv().await.unwrap() {
                ConsumerEvent::Assigned { .. } => consumer.send(start(&[(0, 1, next)])).unwrap(),
                ConsumerEvent::Data(seen) => {
                    for one in seen {
                        match one {
                            SeenRecord::Record(offset) => next = offset + 1,
                            SeenRecord::Reached(offset) if offset > next => late.push((offset, next)),
                            SeenRecord::Reached(_) => {}
                        }
                    }
                }
                // The end is known only after a fetch that found nothing more.
                ConsumerEvent::Ends(_) if next == 5 && !failed => {
                    failed = true;
                    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN;
                    cluster.request_errors(RDKafkaApiKey::Fetch, &[error; 3]);
                }
                ConsumerEvent::BrokerError { .. } if next == 5 => send(&kafka, 5),
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap();
    late.dedup();
    assert!(late.is_empty(), "(reached, next record): {late:?}");
}

/// A partition that is announced again while the queue is full comes back, not paused for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_announced_again_under_back_pressure_delivers() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 5);
    let (log, mut released) = RecordingHandler::with_released();
    let mut consumer = GroupConsumer::start(&kafka, "group", false, log).unwrap();
    let assigned = async |consumer: &mut GroupConsumer<Vec<SeenRecord>>| {
        while !matches!(consumer.events.recv().await.unwrap(), ConsumerEvent::Assigned { .. }) {}
    };
    timeout(Duration::from_secs(20), assigned(&mut consumer)).await.unwrap();
    consumer.send(start(&[(0, 1, 0)])).unwrap();
    // Nobody takes events: the queue fills up and the partition is paused.
    while consumer.events.len() < consumer.events.max_capacity() {
        tokio::task::yield_now().await;
    }
    consumer.send(ConsumerCommand::Announce(vec![0])).unwrap();
    timeout(Duration::from_secs(20), released.recv()).await.unwrap();
    timeout(Duration::from_secs(20), assigned(&mut consumer)).await.unwrap();
    consumer.send(start(&[(0, 2, 0)])).unwrap();
    let delivered = async {
        loop {
            if let ConsumerEvent::Data(seen) = consumer.events.recv().await.unwrap()
                && seen.contains(&SeenRecord::Record(4))
            {
                return;
            }
        }
    };
    assert!(timeout(Duration::from_secs(15), delivered).await.is_ok(), "nothing was delivered in 15 s");
}

/// Two workers with one instance id: the one that the group threw out ends with an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_ends_the_consumer() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let kafka = KafkaSettings { instance_id: Some("one".to_owned()), ..kafka(&cluster) };
    let mut consumer = GroupConsumer::start(&kafka, "group", false, RecordingHandler::default()).unwrap();
    let ended = async {
        loop {
            match consumer.events.recv().await {
                Some(ConsumerEvent::Assigned { .. }) => {
                    consumer.send(start(&[(0, 1, 0)])).unwrap();
                    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
                    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[fenced]);
                }
                Some(ConsumerEvent::BrokerError { code, text, .. }) => eprintln!("broker error: {code:?} {text}"),
                Some(ConsumerEvent::Failed { .. }) | None => return,
                Some(_) => {}
            }
        }
    };
    assert!(timeout(Duration::from_secs(20), ended).await.is_ok(), "the consumer goes on after a fatal error");
}

/// Partitions that wait for their offset are not in librdkafka's assignment; a rebalance still has to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_goes_on_while_partitions_wait_for_their_offset() {
    rebalance(Owner::Waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_goes_on_while_partitions_are_read() {
    rebalance(Owner::Reads).await;
}

/// A store that hangs holds up the owner of the state, not the group.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_goes_on_while_nobody_takes_events() {
    rebalance(Owner::Hangs).await;
}

/// What the owner of the state does at the rebalance.
#[derive(PartialEq)]
enum Owner {
    Reads,
    /// For an answer about partitions that were announced again.
    Waits,
    Hangs,
}

async fn rebalance(owner: Owner) {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 2, 1).unwrap();
    crate::kafka::raw::skip_mock_rebalance_delay(client.client());
    let mut kafka = kafka(&cluster);
    // The mock cluster takes a session less a second for each round, and now and then refuses one whose follower asks
    // for its part after the leader: another round.
    for (name, value) in [("session.timeout.ms", "4000"), ("heartbeat.interval.ms", "500")] {
        kafka.properties.0.insert(name.to_owned(), value.to_owned());
    }
    let (log, mut released) = RecordingHandler::with_released();
    let mut first = GroupConsumer::start(&kafka, "group", false, log).unwrap();
    let assigned = async {
        loop {
            if let ConsumerEvent::Assigned { partitions, .. } = first.events.recv().await.unwrap() {
                return partitions;
            }
        }
    };
    let partitions = timeout(Duration::from_secs(20), assigned).await.unwrap();
    assert_eq!(partitions.len(), 2);
    first.send(start(&[(0, 1, 0), (1, 2, 0)])).unwrap();
    while !matches!(first.events.recv().await.unwrap(), ConsumerEvent::Ends(_)) {}
    // What the pipeline does after a fence; the answer takes its time.
    if owner == Owner::Waits {
        first.send(ConsumerCommand::Announce(vec![0, 1])).unwrap();
        for _ in 0..2 {
            timeout(Duration::from_secs(20), released.recv()).await.unwrap();
        }
    }
    let mut second = GroupConsumer::start(&kafka, "group", false, RecordingHandler::default()).unwrap();
    let both = async {
        loop {
            tokio::select! {
                event = first.events.recv(), if owner != Owner::Hangs => {
                    if let ConsumerEvent::Revoked { .. } = event.unwrap() {
                        first.send(ConsumerCommand::Release).unwrap();
                    }
                }
                event = second.events.recv() => if let ConsumerEvent::Assigned { .. } = event.unwrap() {
                    return;
                },
            }
        }
    };
    assert!(timeout(Duration::from_secs(60), both).await.is_ok(), "the second worker got no partition in 60 s");
}

/// One partition without a leader is no reason to leave the others alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_holds_up_no_other() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 2, 1).unwrap();
    cluster.partition_leader("ticks", 1, None).unwrap();
    let mut consumer = GroupConsumer::start(&kafka(&cluster), "group", false, RecordingHandler::default()).unwrap();
    let announced = async {
        loop {
            match consumer.events.recv().await.unwrap() {
                ConsumerEvent::Assigned { partitions, .. } => return partitions,
                other => eprintln!("{other:?}"),
            }
        }
    };
    let announced = timeout(Duration::from_secs(40), announced).await.expect("nothing was announced in 40 s");
    assert_eq!(announced.iter().map(|one| one.partition).collect::<Vec<_>>(), [0]);
}

/// The log of the leader epoch ends at 5: whoever is to go on behind it read another one, whatever is there now.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grew_past_the_position_again_is_another_one() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 5);
    cluster.partition_leader("ticks", 0, Some(1)).unwrap();
    send(&kafka, 5);
    for (leader_epoch, is_same) in [(Some(0), false), (Some(1), true), (None, true)] {
        let mut consumer = GroupConsumer::start(&kafka, "group", false, RecordingHandler::default()).unwrap();
        let went_on = async {
            loop {
                match consumer.events.recv().await.unwrap() {
                    ConsumerEvent::Assigned { .. } => {
                        let start = PartitionStart { partition: 0, generation: 1, offset: 7, leader_epoch };
                        consumer.send(ConsumerCommand::Start(vec![start])).unwrap();
                    }
                    ConsumerEvent::Truncated { partition: 0, .. } => return false,
                    ConsumerEvent::Data(seen) => {
                        assert_eq!(seen.first(), Some(&SeenRecord::Record(7)));
                        return true;
                    }
                    _ => {}
                }
            }
        };
        let went_on = timeout(Duration::from_secs(30), went_on).await.expect("no event in 30 s");
        assert_eq!(went_on, is_same, "{leader_epoch:?}");
        consumer.stop().await;
    }
}
