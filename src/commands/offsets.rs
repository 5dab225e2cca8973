//! `tickhouse offsets show|set`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::{GlobalArgs, OffsetsArgs, OffsetsCommand, OffsetsSetArgs, OffsetsShowArgs};
use crate::kafka::{Assigned, KafkaSettings, Reader};
use crate::lake::{CommitOutcome, Lake, RetryPolicy};
use crate::market::TopicIdentity;
use crate::settings::{Settings, SettingsError};

/// # Errors
/// The lake can't be read or written, or the change makes no sense.
pub(super) async fn run(global: &GlobalArgs, args: &OffsetsArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        OffsetsCommand::Show(args) => show(global, args).await,
        OffsetsCommand::Set(args) => set(global, args).await,
    }
}

async fn open(settings: &Settings) -> anyhow::Result<Lake> {
    Lake::open(&settings.location()?, &settings.store).await.context("open the lake")
}

/// What Kafka holds of the lake's topic, and which topic that is.
async fn ask_kafka(mut kafka: KafkaSettings, lake: &Lake) -> anyhow::Result<(TopicIdentity, BTreeMap<i32, Assigned>)> {
    let topic = lake.topic().unwrap_or_default();
    if kafka.topic.is_empty() {
        kafka.topic = topic.to_owned();
    }
    if kafka.topic != topic {
        let problem = format!("topic: the lake holds '{topic}', not '{}'; correct --topic or --table", kafka.topic);
        return Err(SettingsError::Value(problem).into());
    }
    kafka.validate().map_err(SettingsError::from)?;
    tokio::task::spawn_blocking(move || {
        let reader = Reader::open(&kafka, RetryPolicy::ONE_SHOT)?;
        Ok((reader.identity().clone(), reader.partitions().iter().map(|at| (at.partition, *at)).collect()))
    })
    .await?
}

async fn show(global: &GlobalArgs, args: &OffsetsShowArgs) -> anyhow::Result<ExitCode> {
    let resolve = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.kafka.apply(layers);
    });
    let settings = resolve?.settings;
    let lake = open(&settings).await?;
    let counters = lake.counters().await?;
    let kafka = match settings.kafka.brokers.is_empty() {
        true => BTreeMap::new(),
        false => ask_kafka(settings.kafka.clone(), &lake).await?.1,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let partitions: Vec<_> = counters
            .iter()
            .map(|(partition, counters)| {
                let at = kafka.get(partition);
                json!({
                    "partition": partition, "counters": counters, "kafka_low": at.map(|at| at.low),
                    "kafka_end": at.map(|at| at.high), "lag": at.map(|at| at.high - counters.next),
                })
            })
            .collect();
        let all = json!({
            "topic": lake.topic(), "cluster_id": lake.identity().cluster_id, "topic_id": lake.identity().topic_id,
            "epoch": lake.epoch(), "version": lake.version(), "partitions": partitions,
        });
        return writeln!(out, "{all:#}").context("print offsets").map(|()| ExitCode::SUCCESS);
    }
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
    for (partition, c) in &counters {
        let lag = kafka.get(partition).map_or_else(|| "-".to_owned(), |at| (at.high - c.next).to_string());
        text.push_str(&format!(
            "{partition:>9} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {lag:>12}\n",
            c.first, c.next, c.stored_offsets, c.rows, c.dead, c.skipped, c.holes, c.lost
        ));
    }
    out.write_all(text.as_bytes()).context("print offsets")?;
    Ok(ExitCode::SUCCESS)
}

async fn set(global: &GlobalArgs, args: &OffsetsSetArgs) -> anyhow::Result<ExitCode> {
    let resolve = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.kafka.apply(layers);
    });
    let settings = resolve?.settings;
    let mut lake = open(&settings).await?;
    if args.new_epoch {
        return begin_epoch(&mut lake, &settings, args).await;
    }
    let (_, ends) = ask_kafka(settings.kafka.clone(), &lake).await?;
    let mut seen = BTreeSet::new();
    for &(partition, offset) in &args.partition {
        check_offset(partition, offset, &ends)?;
        if !seen.insert(partition) {
            return Err(SettingsError::Value(format!("--partition {partition}: given twice; keep one")).into());
        }
    }
    let plan = lake.plan_offsets(&args.partition).await?;
    for advance in &plan {
        let (partition, range) = (advance.partition, advance.range);
        match advance.base {
            None => println!("partition {partition}: new to the table, begins at {}", range.next()),
            Some(next) => {
                println!(
                    "partition {partition}: next {next} -> {}, {} offsets recorded as lost",
                    range.next(),
                    range.len()
                );
            }
        }
    }
    if args.dry_run {
        println!("dry run: nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    match lake.set_offsets(&plan, &format!("offsets set: {}", args.reason)).await? {
        CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
            match plan.iter().all(|advance| advance.base == Some(advance.range.next())) {
                true => println!("nothing to change; table version {version}"),
                false => println!("committed as table version {version}"),
            }
            Ok(ExitCode::SUCCESS)
        }
        CommitOutcome::Fenced { partitions } => {
            bail!("set offsets: partitions {partitions:?} moved meanwhile; stop the ingest and try again")
        }
    }
}

/// What lies beyond the end of the topic would be given up before it was written.
fn check_offset(partition: i32, offset: i64, ends: &BTreeMap<i32, Assigned>) -> Result<(), SettingsError> {
    let problem = match ends.get(&partition) {
        None => format!("the topic has no partition {partition}"),
        Some(at) if !(at.low..=at.high).contains(&offset) => {
            format!("Kafka holds [{}, {}) there; choose an offset in it, or its end", at.low, at.high)
        }
        Some(_) => return Ok(()),
    };
    Err(SettingsError::Value(format!("--partition {partition}={offset}: {problem}")))
}

async fn begin_epoch(lake: &mut Lake, settings: &Settings, args: &OffsetsSetArgs) -> anyhow::Result<ExitCode> {
    let (kafka, ends) = ask_kafka(settings.kafka.clone(), lake).await?;
    let known = lake.identity();
    println!(
        "epoch {} -> {}: {} partitions are read from the start policy on; rows of the old epoch stay",
        lake.epoch(),
        lake.epoch() + 1,
        ends.len()
    );
    println!("cluster id {}", change(Some(&known.cluster_id), Some(&kafka.cluster_id)));
    println!("topic id {}", change(known.topic_id.as_ref(), kafka.topic_id.as_ref()));
    for (partition, at) in &ends {
        let next = lake.next_offset(*partition).await?.map_or_else(|| "none".to_owned(), |next| next.to_string());
        println!("partition {partition}: next {next} -> none, Kafka holds [{}, {})", at.low, at.high);
    }
    if kafka.topic_id.is_some() && kafka == known {
        println!("it is the same topic: what Kafka still holds of it is stored a second time");
    }
    if args.dry_run {
        println!("dry run: nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let epoch = lake.begin_epoch(&kafka, &format!("offsets set --new-epoch: {}", args.reason)).await?;
    println!("epoch {epoch} begins");
    Ok(ExitCode::SUCCESS)
}

fn change(before: Option<&String>, after: Option<&String>) -> String {
    let shown = |id: Option<&String>| id.map_or_else(|| "unknown".to_owned(), Clone::clone);
    match before == after {
        true => format!("{} as before", shown(after)),
        false => format!("{} -> {}", shown(before), shown(after)),
    }
}
