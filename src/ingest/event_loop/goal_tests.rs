//! How an `--until-latest` ends when brokers, leaders or other members of the group fail.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ingest::daemon::IngestDaemon;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::unreached::{GoalUnreached, PartitionBehind, UnreachedReason};
use crate::ingest::tests::IngestFixture;
use crate::kafka::{ConsumerCommand, ConsumerEvent, GroupConsumer, KafkaRecord, RecordHandler, topic_ends};

const PROGRESS_TIMEOUT: Duration = Duration::from_secs(15);

/// Two partitions with too few messages to evaluate their share of dead letters, and a short session timeout of the
/// group.
fn fixture() -> IngestFixture {
    let mut fixture = IngestFixture::with_partitions(2, 90);
    for (name, value) in [("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "300")] {
        fixture.spec.kafka.properties.0.insert(name.to_owned(), value.to_owned());
    }
    fixture.spec.settings.flush_interval = Duration::from_millis(100);
    fixture.spec.settings.idle_commit_interval = Duration::from_millis(100);
    fixture
}

fn ends(fixture: &IngestFixture) -> [i64; 2] {
    let ends = topic_ends(&fixture.spec.kafka, Duration::from_secs(20)).unwrap().known;
    assert!(ends.iter().all(|at| at.high > 0), "{ends:?}");
    [ends[0].high, ends[1].high]
}

async fn with_short_timeout(fixture: &IngestFixture) -> IngestDaemon {
    let mut daemon = fixture.daemon().await;
    daemon.pipeline.goal.as_mut().unwrap().timeout = PROGRESS_TIMEOUT;
    daemon
}

async fn unreached(daemon: IngestDaemon) -> GoalUnreached {
    match daemon.run(CancellationToken::new()).await {
        Err(IngestError::Unreached(unreached)) => unreached,
        other => panic!("{other:?}"),
    }
}

async fn next(fixture: &IngestFixture) -> [Option<i64>; 2] {
    let lake = fixture.lake().await;
    [lake.next_offset(0).await.unwrap(), lake.next_offset(1).await.unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_is_named_when_its_time_is_over() {
    let fixture = fixture();
    let [first, second] = ends(&fixture);
    fixture.broker.elect("ticks", 1, false).unwrap();
    let unread = unreached(with_short_timeout(&fixture).await).await;
    let behind = vec![PartitionBehind { partition: 1, next: None, end: None }];
    assert_eq!(unread, GoalUnreached { reason: UnreachedReason::NoProgress, behind });
    assert_eq!(next(&fixture).await, [Some(first), None], "the others are read meanwhile");

    fixture.broker.elect("ticks", 1, true).unwrap();
    with_short_timeout(&fixture).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&fixture).await, [Some(first), Some(second)]);
}

/// The group revokes the partitions of a member whose brokers are unreachable; it then owns nothing and reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_in_the_middle_are_no_end() {
    let fixture = fixture();
    let [first, second] = ends(&fixture);
    let daemon = with_short_timeout(&fixture).await;
    fixture.broker.elect("ticks", 1, false).unwrap();
    let mut status = daemon.status();
    let running = tokio::spawn(unreached(daemon));
    status.wait_for(|status| status.next.get(&0) == Some(&first)).await.unwrap();
    fixture.broker.cut_off(true).unwrap();
    let unread = running.await.unwrap();
    assert_eq!(unread.behind, [PartitionBehind { partition: 1, next: None, end: Some(second) }]);
    assert!(matches!(unread.reason, UnreachedReason::Brokers(Some(_))), "{unread:?}");

    fixture.broker.elect("ticks", 1, true).unwrap();
    fixture.broker.cut_off(false).unwrap();
    with_short_timeout(&fixture).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&fixture).await, [Some(first), Some(second)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_come_back_in_time_are_read_to_the_end() {
    let fixture = fixture();
    let [first, second] = ends(&fixture);
    let mut daemon = with_short_timeout(&fixture).await;
    daemon.pipeline.goal.as_mut().unwrap().timeout = Duration::from_secs(60);
    fixture.broker.elect("ticks", 1, false).unwrap();
    let mut status = daemon.status();
    let running = tokio::spawn(daemon.run(CancellationToken::new()));
    status.wait_for(|status| status.next.get(&0) == Some(&first)).await.unwrap();
    fixture.broker.cut_off(true).unwrap();
    status.wait_for(|status| status.next.is_empty()).await.unwrap();
    fixture.broker.elect("ticks", 1, true).unwrap();
    fixture.broker.cut_off(false).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(next(&fixture).await, [Some(first), Some(second)]);
}

/// Owns its partitions and reads nothing.
struct IdleHandler;

impl RecordHandler for IdleHandler {
    type Output = ();

    fn start(&mut self, _: i32, _: u64, _: i64) {}

    fn release(&mut self, _: i32) {}

    fn record(&mut self, _: &KafkaRecord<'_>) {}

    fn reached(&mut self, _: i32, _: i64, _: Option<i32>) {}

    fn take(&mut self) -> Option<()> {
        None
    }
}

async fn assigned(member: &mut GroupConsumer<()>) -> Vec<i32> {
    loop {
        match member.events.recv().await.unwrap() {
            ConsumerEvent::Unannounced { partitions } => return partitions,
            ConsumerEvent::Failed { text } => panic!("{text}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_makes_no_progress_is_no_end_for_the_others() {
    let fixture = fixture();
    let ends = ends(&fixture);
    let daemon = with_short_timeout(&fixture).await;
    let mut member = GroupConsumer::start(&fixture.spec.kafka, &daemon.group, false, IdleHandler).unwrap();
    assert!(!assigned(&mut member).await.is_empty());
    let running = tokio::spawn(unreached(daemon));
    let keeping = async {
        loop {
            match member.events.recv().await.unwrap() {
                ConsumerEvent::Revoked { .. } => member.send(ConsumerCommand::Release).unwrap(),
                ConsumerEvent::Failed { text } => panic!("{text}"),
                _ => {}
            }
        }
    };
    let unread = tokio::select! {
        unread = running => unread.unwrap(),
        () = keeping => unreachable!("it keeps its partition"),
    };
    assert_eq!(unread.reason, UnreachedReason::OtherMembers);
    let [behind] = unread.behind.as_slice() else { panic!("{unread:?}") };
    let number = usize::try_from(behind.partition).unwrap();
    assert_eq!((behind.next, behind.end), (None, Some(ends[number])));
    member.stop().await;
    with_short_timeout(&fixture).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&fixture).await, ends.map(Some));
}
