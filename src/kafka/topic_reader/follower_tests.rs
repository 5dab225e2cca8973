//! What a follower does when brokers answer with errors and come and go.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::kafka::client::KafkaSettings;
use crate::kafka::topic_reader::follower::{FollowerEvent, TopicFollower};
use crate::kafka::topic_reader::reader::TopicReader;

const PATIENCE: Duration = Duration::from_secs(20);

fn client() -> BaseProducer {
    ClientConfig::new().set("test.mock.num.brokers", "1").create().unwrap()
}

fn kafka(cluster: &MockCluster<'_, DefaultProducerContext>) -> KafkaSettings {
    KafkaSettings { brokers: cluster.bootstrap_servers(), topic: "ticks".to_owned(), ..KafkaSettings::default() }
}

fn send(kafka: &KafkaSettings, messages: usize) {
    let producer: BaseProducer = kafka.client_config().create().unwrap();
    for number in 0..messages {
        let payload = number.to_string();
        producer.send(BaseRecord::<(), str>::to("ticks").partition(0).payload(&payload)).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

/// Polls until `done` returns true; returns offsets and events in the order of their arrival.
fn follow(
    follower: &mut TopicFollower,
    offsets: &mut Vec<i64>,
    mut done: impl FnMut(&[i64], &FollowerEvent) -> bool,
    enough: impl Fn(&[i64], Option<i64>) -> bool,
) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        follower.poll(|record| offsets.push(record.offset())).unwrap();
        let positions: Vec<(i32, i64)> = follower.positions().collect();
        assert_eq!(positions[0].1, offsets.last().map_or(0, |last| last + 1), "{positions:?}");
        let is_done = follower.take_events().iter().any(|events| done(offsets, events));
        if is_done || enough(offsets, follower.lag()) {
            return;
        }
    }
    panic!("not within {PATIENCE:?}: {offsets:?}, lag {:?}", follower.lag());
}

#[test]
fn a_failed_fetch_and_a_broker_that_restarts_lose_and_repeat_nothing() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 5);
    let mut follower = TopicFollower::open(&kafka, PATIENCE).unwrap();
    assert_eq!((follower.opened()[0].low, follower.opened()[0].high), (0, 5));
    follower.start(&[(0, 0)]).unwrap();
    let mut offsets = Vec::new();
    let at_end = |_: &[i64], lag: Option<i64>| lag == Some(0);
    follow(&mut follower, &mut offsets, |_, _| false, at_end);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[error; 3]);
    let mut seen = Vec::new();
    let noted = |_: &[i64], events: &FollowerEvent| {
        seen.push(events.clone());
        matches!(events, FollowerEvent::Recovered)
    };
    follow(&mut follower, &mut offsets, noted, |_, _| false);
    assert!(matches!(seen[0], FollowerEvent::BrokerError(_)), "{seen:?}");
    send(&kafka, 5);
    follow(&mut follower, &mut offsets, |_, _| false, |offsets, _| offsets.len() == 10);

    cluster.broker_down(1).unwrap();
    follow(&mut follower, &mut offsets, |_, events| matches!(events, FollowerEvent::BrokerError(_)), |_, _| false);
    cluster.broker_up(1).unwrap();
    follow(&mut follower, &mut offsets, |_, events| matches!(events, FollowerEvent::Recovered), |_, _| false);
    send(&kafka, 5);
    follow(&mut follower, &mut offsets, |_, _| false, |offsets, _| offsets.len() == 15);
    assert_eq!(offsets, (0..15).collect::<Vec<i64>>());
}

#[test]
fn what_kafka_does_not_hold_is_a_gap_and_other_partitions_go_on() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 2, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 3);
    let mut follower = TopicFollower::open(&kafka, PATIENCE).unwrap();
    follower.start(&[(0, 1), (1, 7)]).unwrap();
    assert_eq!(follower.take_events(), [FollowerEvent::Gap { partition: 1, asked: 7, low: 0, high: 0 }]);
    let mut offsets = Vec::new();
    while follower.lag() != Some(0) {
        follower.poll(|record| offsets.push((record.partition(), record.offset()))).unwrap();
    }
    assert_eq!(offsets, [(0, 1), (0, 2)]);
    assert_eq!(follower.positions().collect::<Vec<_>>(), [(0, 3), (1, 7)]);
}

/// Both of its requests for the ends of a partition are refused once.
#[test]
fn an_error_that_passes_is_no_end_when_the_topic_is_opened() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 2, 1).unwrap();
    let kafka = kafka(&cluster);
    send(&kafka, 3);
    let passing = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR; 2];
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &passing);
    let reader = TopicReader::open(&kafka, PATIENCE).unwrap();
    assert_eq!(reader.partitions().iter().map(|at| at.high).collect::<Vec<_>>(), [3, 0]);
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &passing);
    assert_eq!(TopicFollower::open(&kafka, PATIENCE).unwrap().opened(), reader.partitions());
    cluster.topic_error("ticks", RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE).unwrap();
    let error = TopicReader::open(&kafka, Duration::from_secs(1)).map(|_| ()).unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn brokers_that_are_gone_are_tried_once_a_second() {
    let client = client();
    let cluster = client.client().mock_cluster().unwrap();
    cluster.create_topic("ticks", 1, 1).unwrap();
    let mut follower = TopicFollower::open(&kafka(&cluster), PATIENCE).unwrap();
    follower.start(&[]).unwrap();
    follower.poll(|_| {}).unwrap();
    cluster.broker_down(1).unwrap();
    let mut turn_for = |seconds| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            follower.poll(|_| {}).unwrap();
        }
        follower.connects()
    };
    // The first attempts after a connection that broke come at once.
    let (before, seconds) = (turn_for(4), 10);
    let connects = turn_for(seconds) - before;
    assert!((1..=seconds as u32).contains(&connects), "{connects} in {seconds} s");
}
