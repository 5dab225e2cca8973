//! `tickhouse offsets show`: prints the committed offset and the lag of each partition.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use super::topic::{ask_kafka, open};
use crate::cli::args::{GlobalArgs, OffsetsShowArgs};
use crate::cli::commands::print::print;
use crate::cli::settings::Settings;
use crate::ingest::DataLoss;
use crate::kafka::PartitionWatermarks;
use crate::lake::Lake;
use crate::market::TopicMismatch;

/// The watermarks of the lake's topic in Kafka.
#[derive(Debug, Default)]
struct Kafka {
    partitions: BTreeMap<i32, PartitionWatermarks>,
    /// Set if Kafka has another topic than the table, so that the offsets can't be compared.
    other: Option<TopicMismatch>,
}

impl Kafka {
    /// Number of messages that are still to be read. If the offsets can't be compared, the error is a keyword and the
    /// reason.
    fn lag(&self, partition: i32, next: i64) -> Result<Option<i64>, (&'static str, String)> {
        if let Some(other) = &self.other {
            return Err(("other", format!("{other}; `tickhouse offsets set --new-epoch` begins a new epoch")));
        }
        match self.partitions.get(&partition) {
            None => Ok(None),
            Some(at) if next < at.low => {
                let loss = DataLoss::Expired { partition, next, low: at.low };
                Err((
                    "expired",
                    format!("{loss}; `tickhouse offsets set --partition {partition}={}` gives them up", at.low),
                ))
            }
            Some(at) if next > at.high => {
                let loss = DataLoss::Shrunk { partition, next, high: at.high };
                Err(("shrunk", format!("{loss}; `tickhouse offsets set --new-epoch` begins a new epoch")))
            }
            Some(at) => Ok(Some(at.high - next)),
        }
    }
}

pub(super) async fn show(global: &GlobalArgs, args: &OffsetsShowArgs) -> anyhow::Result<ExitCode> {
    let resolve = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.kafka.apply(layers);
    });
    let settings = resolve?.settings;
    let lake = open(&settings).await?;
    let kafka = match settings.kafka.brokers.is_empty() {
        true => Kafka::default(),
        false => {
            let (identity, partitions) = ask_kafka(settings.kafka, &lake).await?;
            Kafka { partitions, other: lake.identity().require(&identity).err() }
        }
    };
    print(&if args.is_json() { as_json(&lake, &kafka).await? } else { as_text(&lake, &kafka).await? })?;
    Ok(ExitCode::SUCCESS)
}

async fn as_json(lake: &Lake, kafka: &Kafka) -> anyhow::Result<String> {
    let mut partitions = Vec::new();
    for (partition, counters) in lake.counters().await? {
        let at = kafka.partitions.get(&partition);
        let lag = kafka.lag(partition, counters.next);
        partitions.push(json!({
            "partition": partition, "counters": counters, "kafka_low": at.map(|at| at.low),
            "kafka_end": at.map(|at| at.high), "lag": lag.as_ref().ok().copied().flatten(),
            "problem": lag.err().map(|(_, problem)| problem),
        }));
    }
    let all = json!({
        "topic": lake.topic(), "cluster_id": lake.identity().cluster_id, "topic_id": lake.identity().topic_id,
        "epoch": lake.epoch(), "version": lake.version(), "partitions": partitions,
    });
    Ok(format!("{all:#}\n"))
}

async fn as_text(lake: &Lake, kafka: &Kafka) -> anyhow::Result<String> {
    let mut text = format!(
        "topic {}, epoch {}, table version {}\n{:>9} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>12}\n",
        lake.topic().unwrap_or_default(),
        lake.epoch(),
        lake.version(),
        "partition",
        "first",
        "next",
        "stored",
        "rows",
        "dead",
        "skipped",
        "holes",
        "lost",
        "lag"
    );
    let mut problems: Vec<String> = Vec::new();
    for (partition, c) in lake.counters().await? {
        if c.unknown > 0 {
            problems.push(format!(
                "partition {partition}: {} offsets are unknown: the counters were lost, and the tables counted again",
                c.unknown
            ));
        }
        let lag = match kafka.lag(partition, c.next) {
            Ok(lag) => lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
            Err((word, problem)) => {
                problems.push(problem);
                word.to_owned()
            }
        };
        text.push_str(&format!(
            "{partition:>9} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {lag:>12}\n",
            c.first, c.next, c.stored_offsets, c.rows, c.dead, c.skipped, c.holes, c.lost
        ));
    }
    problems.dedup();
    for problem in problems {
        text.push_str(&format!("{problem}\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_don_t_compare_have_no_lag() {
        let at = PartitionWatermarks { partition: 3, low: 100, high: 250 };
        let mut kafka = Kafka { partitions: BTreeMap::from([(3, at)]), other: None };
        assert_eq!(kafka.lag(3, 100), Ok(Some(150)));
        assert_eq!(kafka.lag(3, 250), Ok(Some(0)));
        assert_eq!(kafka.lag(4, 0), Ok(None));
        let (word, problem) = kafka.lag(3, 40).unwrap_err();
        assert!(word == "expired" && problem.contains("60 offsets are gone") && problem.contains("3=100"), "{problem}");
        let (word, problem) = kafka.lag(3, 251).unwrap_err();
        assert!(word == "shrunk" && problem.contains("Kafka ends at 250"), "{problem}");
        kafka.other = Some(TopicMismatch::Recreated { table: "old".to_owned(), kafka: "new".to_owned() });
        let (word, problem) = kafka.lag(3, 200).unwrap_err();
        assert!(word == "other" && problem.contains("id new") && problem.contains("--new-epoch"), "{problem}");
    }
}
