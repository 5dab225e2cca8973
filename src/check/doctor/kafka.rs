//! Checks that the brokers accept the connection, that they have the lake's topic, and that they still have the next
//! offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{DoctorCheck, DoctorReport};
use crate::kafka::{GroupInfo, KafkaSettings, PartitionWatermarks, TopicError, TopicReader, group_info};
use crate::lake::LoggedVersion;
use crate::market::TopicIdentity;

/// Timeout of a request to the brokers.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
const GROUP_ID_CHARACTERS: usize = 8;
const NEW_EPOCH: &str = "if it was recreated or moved, `tickhouse offsets set --new-epoch --reason ..` begins a \
                         new epoch of offsets; else correct --brokers or --table";

struct BrokerAnswers {
    identity: TopicIdentity,
    partitions: BTreeMap<i32, PartitionWatermarks>,
    group: Result<Option<GroupInfo>, TopicError>,
}

pub(super) async fn check(settings: &KafkaSettings, ticks: Option<&LoggedVersion>, report: &mut DoctorReport) {
    let mut settings = settings.clone();
    if settings.topic.is_empty() {
        settings.topic = ticks.and_then(LoggedVersion::topic).unwrap_or_default().to_owned();
    }
    if let Err(error) = settings.validate() {
        report.checks.push(DoctorCheck::fail("broker", error.to_string(), "correct the configuration"));
        return;
    }
    let id = ticks.map(|ticks| ticks.id.chars().take(GROUP_ID_CHARACTERS).collect::<String>());
    let group = settings.group.clone().or_else(|| Some(format!("tickhouse-{}", id?)));
    let (queried, name) = (settings.clone(), group.clone());
    let answers = tokio::task::spawn_blocking(move || query_brokers(&queried, name.as_deref())).await;
    let answers = match answers {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => return report.checks.extend(connection_checks(&settings, &error)),
        Err(error) => return report.not_checked.push(format!("Kafka: {error}")),
    };
    report.checks.push(DoctorCheck::ok("broker", format!("{} answer", settings.brokers)));
    let is_same = topic(&settings, &answers, ticks, report);
    if let Some(group) = group {
        match &answers.group {
            Ok(Some(GroupInfo { state, members })) => {
                report.checks.push(DoctorCheck::ok("group", format!("{group} is {state} with {members} members")));
            }
            Ok(None) => {
                report.checks.push(DoctorCheck::ok("group", format!("the brokers don't know {group}: nobody ingests")))
            }
            Err(error) => report.not_checked.push(format!("group {group}: {error}")),
        }
    }
    match ticks {
        Some(ticks) if is_same => lag(ticks, &answers.partitions, report),
        Some(_) => report.not_checked.push("lag: the topic is another one".to_owned()),
        None => report.not_checked.push("lag: there is no table yet".to_owned()),
    }
}

fn query_brokers(settings: &KafkaSettings, group: Option<&str>) -> Result<BrokerAnswers, TopicError> {
    let reader = TopicReader::open(settings, BROKER_TIMEOUT)?;
    let group = group.map_or(Ok(None), |group| group_info(settings, group, BROKER_TIMEOUT));
    let partitions = reader.partitions().iter().map(|at| (at.partition, *at)).collect();
    Ok(BrokerAnswers { identity: reader.identity().clone(), partitions, group })
}

/// Turns a failed request into checks. Brokers that report a missing topic are reachable.
fn connection_checks(settings: &KafkaSettings, error: &TopicError) -> Vec<DoctorCheck> {
    let detail = error.to_string();
    match error {
        TopicError::NoTopic { .. } | TopicError::Denied { .. } | TopicError::Read { .. } => vec![
            DoctorCheck::ok("broker", format!("{} answer", settings.brokers)),
            DoctorCheck::fail("topic", detail, "correct --topic, create the topic, or allow Describe and Read on it"),
        ],
        _ => vec![DoctorCheck::fail("broker", detail, "correct --brokers, --tls, --username and what else it names")],
    }
}

/// Checks that the topic is the one that the lake was ingested from, and returns whether it is.
fn topic(
    settings: &KafkaSettings,
    answers: &BrokerAnswers,
    ticks: Option<&LoggedVersion>,
    report: &mut DoctorReport,
) -> bool {
    let has = format!("{} has {} partitions", settings.topic, answers.partitions.len());
    let known = ticks.map(LoggedVersion::identity);
    if let Some(ticks) = ticks
        && ticks.topic() != Some(settings.topic.as_str())
    {
        let topic = ticks.topic().unwrap_or("none");
        report.checks.push(DoctorCheck::fail(
            "topic",
            format!("{has}, but the lake holds {topic}"),
            "correct --topic or --table",
        ));
        return false;
    }
    let other = known.and_then(|known| known.require(&answers.identity).err());
    let is_same = other.is_none();
    report.checks.push(match other {
        Some(other) => DoctorCheck::fail("topic", other.to_string(), NEW_EPOCH),
        None => DoctorCheck::ok("topic", has),
    });
    is_same
}

fn lag(ticks: &LoggedVersion, kafka: &BTreeMap<i32, PartitionWatermarks>, report: &mut DoctorReport) {
    let epoch = ticks.epoch();
    let (mut behind, mut wrong) = (0, Vec::new());
    for partition in ticks.partitions(epoch) {
        let Some(next) = ticks.next_offset(epoch, partition) else { continue };
        let (detail, fix) = match kafka.get(&partition) {
            Some(at) if next < at.low => (
                format!("partition {partition}: {} offsets from {next} on are gone from Kafka", at.low - next),
                format!("`tickhouse offsets set --partition {partition}={} --reason ..` gives them up", at.low),
            ),
            Some(at) if next > at.high => (
                format!("partition {partition}: the lake is at {next}, Kafka ends at {}", at.high),
                NEW_EPOCH.to_owned(),
            ),
            Some(at) => {
                behind += at.high - next;
                continue;
            }
            None => (format!("partition {partition} is in the lake, not in the topic"), NEW_EPOCH.to_owned()),
        };
        wrong.push(DoctorCheck::fail("lag", detail, fix));
    }
    let never = kafka.keys().filter(|partition| ticks.next_offset(epoch, **partition).is_none()).count();
    let never = if never > 0 { format!("; {never} partitions were never ingested") } else { String::new() };
    if wrong.is_empty() {
        wrong.push(DoctorCheck::ok("lag", format!("{behind} messages are still to be ingested{never}")));
    }
    report.checks.extend(wrong);
}
