//! `tickhouse offsets show|set`: prints and changes the offsets of a lake.

mod show;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{GlobalArgs, OffsetsArgs, OffsetsCommand, OffsetsSetArgs};
use crate::cli::commands::print::report;
use crate::cli::settings::{Settings, SettingsError};
use crate::kafka::PartitionWatermarks;
use crate::lake::{CommitOutcome, Lake};
use topic::{ask_kafka, open};

/// Runs the command.
///
/// # Errors
/// The lake can't be read or written, or the change is invalid.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &OffsetsArgs,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let committing = AtomicBool::new(false);
    let work = async {
        match &args.command {
            OffsetsCommand::Show(args) => show::show(global, args).await,
            OffsetsCommand::Set(args) => set(global, args, &committing).await,
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => match committing.load(Ordering::Relaxed) {
            true => bail!("stopped while the change was written; `tickhouse offsets show` shows whether it was"),
            false => bail!("stopped; nothing was changed"),
        },
        done = work => done,
    }
}

async fn set(global: &GlobalArgs, args: &OffsetsSetArgs, committing: &AtomicBool) -> anyhow::Result<ExitCode> {
    let resolve = Settings::resolve(global.config.as_deref(), |layers| {
        args.table.apply(layers);
        args.kafka.apply(layers);
    });
    let settings = resolve?.settings;
    let mut lake = open(&settings).await?;
    if args.new_epoch {
        return begin_epoch(&mut lake, &settings, args, committing).await;
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
            None => report(&format!("partition {partition}: new to the table, begins at {}\n", range.next()))?,
            Some(next) => {
                report(&format!(
                    "partition {partition}: next {next} -> {}, {} offsets recorded as lost\n",
                    range.next(),
                    range.len()
                ))?;
            }
        }
    }
    if args.dry_run {
        report("dry run: nothing was changed\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    committing.store(true, Ordering::Relaxed);
    match lake.set_offsets(&plan, &format!("offsets set: {}", args.reason)).await? {
        CommitOutcome::Committed { version } | CommitOutcome::AlreadyApplied { version } => {
            match plan.iter().all(|advance| advance.base == Some(advance.range.next())) {
                true => report(&format!("nothing to change; table version {version}\n"))?,
                false => report(&format!("committed as table version {version}\n"))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        CommitOutcome::Fenced { partitions } => {
            bail!("set offsets: partitions {partitions:?} moved meanwhile; stop the ingest and try again")
        }
    }
}

/// Refuses an offset outside of the range that Kafka has. One beyond its end would give up messages before they are
/// written.
fn check_offset(partition: i32, offset: i64, ends: &BTreeMap<i32, PartitionWatermarks>) -> Result<(), SettingsError> {
    let problem = match ends.get(&partition) {
        None => format!("the topic has no partition {partition}"),
        Some(at) if !(at.low..=at.high).contains(&offset) => {
            format!("Kafka holds [{}, {}) there; choose an offset in it, or its end", at.low, at.high)
        }
        Some(_) => return Ok(()),
    };
    Err(SettingsError::Value(format!("--partition {partition}={offset}: {problem}")))
}

async fn begin_epoch(
    lake: &mut Lake,
    settings: &Settings,
    args: &OffsetsSetArgs,
    committing: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let (kafka, ends) = ask_kafka(settings.kafka.clone(), lake).await?;
    let known = lake.identity();
    report(&format!(
        "epoch {} -> {}: {} partitions are read from their first message on; rows of the old epoch stay\n",
        lake.epoch(),
        lake.epoch() + 1,
        ends.len()
    ))?;
    report(&format!("cluster id {}\n", change(Some(&known.cluster_id), Some(&kafka.cluster_id))))?;
    report(&format!("topic id {}\n", change(known.topic_id.as_ref(), kafka.topic_id.as_ref())))?;
    for (partition, at) in &ends {
        let next = lake.next_offset(*partition).await?.map_or_else(|| "none".to_owned(), |next| next.to_string());
        report(&format!("partition {partition}: next {next} -> none, Kafka holds [{}, {})\n", at.low, at.high))?;
    }
    if kafka.topic_id.is_some() && kafka == known {
        report("it is the same topic: what Kafka still holds of it is stored a second time\n")?;
    }
    if args.dry_run {
        report("dry run: nothing was changed\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    committing.store(true, Ordering::Relaxed);
    let epoch = lake.begin_epoch(&kafka, &format!("offsets set --new-epoch: {}", args.reason)).await?;
    report(&format!("epoch {epoch} begins\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn change(before: Option<&String>, after: Option<&String>) -> String {
    let shown = |id: Option<&String>| id.map_or_else(|| "unknown".to_owned(), Clone::clone);
    match before == after {
        true => format!("{} as before", shown(after)),
        false => format!("{} -> {}", shown(before), shown(after)),
    }
}
