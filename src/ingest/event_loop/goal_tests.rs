//! How an `--until-latest` ends when brokers, leaders and other members of the group don't do their part.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ingest::daemon::Daemon;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::unreached::{Behind, Hindrance, Unreached};
use crate::ingest::tests::Place;
use crate::kafka::{Command, Consumer, Event, Handler, Record, topic_ends};

const SILENCE: Duration = Duration::from_secs(15);

/// Two partitions with messages, too few to judge their share of dead letters, of a group that misses a member soon.
fn place() -> Place {
    let mut place = Place::with_partitions(2, 90);
    for (name, value) in [("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "300")] {
        place.spec.kafka.properties.0.insert(name.to_owned(), value.to_owned());
    }
    place.spec.settings.flush_interval = Duration::from_millis(100);
    place.spec.settings.idle_commit_interval = Duration::from_millis(100);
    place
}

fn ends(place: &Place) -> [i64; 2] {
    let ends = topic_ends(&place.spec.kafka, Duration::from_secs(20)).unwrap().known;
    assert!(ends.iter().all(|at| at.high > 0), "{ends:?}");
    [ends[0].high, ends[1].high]
}

async fn impatient(place: &Place) -> Daemon {
    let mut daemon = place.daemon().await;
    daemon.pipeline.goal.as_mut().unwrap().silence = SILENCE;
    daemon
}

async fn unreached(daemon: Daemon) -> Unreached {
    match daemon.run(CancellationToken::new()).await {
        Err(IngestError::Unreached(unreached)) => unreached,
        other => panic!("{other:?}"),
    }
}

async fn next(place: &Place) -> [Option<i64>; 2] {
    let lake = place.lake().await;
    [lake.next_offset(0).await.unwrap(), lake.next_offset(1).await.unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_is_named_when_its_time_is_over() {
    let place = place();
    let [first, second] = ends(&place);
    place.broker.elect("ticks", 1, false).unwrap();
    let unread = unreached(impatient(&place).await).await;
    let behind = vec![Behind { partition: 1, next: None, end: None }];
    assert_eq!(unread, Unreached { why: Hindrance::Silence, behind });
    assert_eq!(next(&place).await, [Some(first), None], "the others are read meanwhile");

    place.broker.elect("ticks", 1, true).unwrap();
    impatient(&place).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&place).await, [Some(first), Some(second)]);
}

/// The group takes the partitions of a member whose brokers are gone; nothing is left for it then, and nothing is read.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_in_the_middle_are_no_end() {
    let place = place();
    let [first, second] = ends(&place);
    let daemon = impatient(&place).await;
    place.broker.elect("ticks", 1, false).unwrap();
    let mut status = daemon.status();
    let running = tokio::spawn(unreached(daemon));
    status.wait_for(|status| status.next.get(&0) == Some(&first)).await.unwrap();
    place.broker.cut_off(true).unwrap();
    let unread = running.await.unwrap();
    assert_eq!(unread.behind, [Behind { partition: 1, next: None, end: Some(second) }]);
    assert!(matches!(unread.why, Hindrance::Brokers(Some(_))), "{unread:?}");

    place.broker.elect("ticks", 1, true).unwrap();
    place.broker.cut_off(false).unwrap();
    impatient(&place).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&place).await, [Some(first), Some(second)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_come_back_in_time_are_read_to_the_end() {
    let place = place();
    let [first, second] = ends(&place);
    let mut daemon = impatient(&place).await;
    daemon.pipeline.goal.as_mut().unwrap().silence = Duration::from_secs(60);
    place.broker.elect("ticks", 1, false).unwrap();
    let mut status = daemon.status();
    let running = tokio::spawn(daemon.run(CancellationToken::new()));
    status.wait_for(|status| status.next.get(&0) == Some(&first)).await.unwrap();
    place.broker.cut_off(true).unwrap();
    status.wait_for(|status| status.next.is_empty()).await.unwrap();
    place.broker.elect("ticks", 1, true).unwrap();
    place.broker.cut_off(false).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(next(&place).await, [Some(first), Some(second)]);
}

/// Takes its partitions and reads none.
struct Idle;

impl Handler for Idle {
    type Output = ();

    fn start(&mut self, _: i32, _: u64, _: i64) {}

    fn release(&mut self, _: i32) {}

    fn record(&mut self, _: &Record<'_>) {}

    fn reached(&mut self, _: i32, _: i64, _: Option<i32>) {}

    fn take(&mut self) -> Option<()> {
        None
    }
}

async fn assigned(member: &mut Consumer<()>) -> Vec<i32> {
    loop {
        match member.events.recv().await.unwrap() {
            Event::Unannounced { partitions } => return partitions,
            Event::Failed { text } => panic!("{text}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_makes_no_progress_is_no_end_for_the_others() {
    let place = place();
    let ends = ends(&place);
    let daemon = impatient(&place).await;
    let mut member = Consumer::start(&place.spec.kafka, &daemon.group, false, Idle).unwrap();
    assert!(!assigned(&mut member).await.is_empty());
    let running = tokio::spawn(unreached(daemon));
    let keeping = async {
        loop {
            match member.events.recv().await.unwrap() {
                Event::Revoked { .. } => member.send(Command::Release).unwrap(),
                Event::Failed { text } => panic!("{text}"),
                _ => {}
            }
        }
    };
    let unread = tokio::select! {
        unread = running => unread.unwrap(),
        () = keeping => unreachable!("it keeps its partition"),
    };
    assert_eq!(unread.why, Hindrance::OtherMembers);
    let [behind] = unread.behind.as_slice() else { panic!("{unread:?}") };
    let number = usize::try_from(behind.partition).unwrap();
    assert_eq!((behind.next, behind.end), (None, Some(ends[number])));
    member.stop().await;
    impatient(&place).await.run(CancellationToken::new()).await.unwrap();
    assert_eq!(next(&place).await, ends.map(Some));
}
