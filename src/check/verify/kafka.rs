//! Compares the tables with all records that Kafka still has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::counters;
use super::digest::{ComparedColumns, DateExpiry};
use super::error::VerifyError;
use super::files::TableContents;
use super::finding::{FindingKind, Findings};
use super::logged::{LoggedTable, TICKS};
use super::progress::VerifyProgress;
use super::topic::{DifferingRows, PartitionComparison, TopicComparer, TopicComparison, position};
use super::window::{ComparedTables, OffsetSpan, StoredOffsets, each_batch, rounds_of};
use crate::decode::{Decoder, InputSettings};
use crate::kafka::{KafkaSettings, PartitionWatermarks, TopicReader};
use crate::lake::{INPUT, LoggedFile, LoggedVersion, PartitionCounters, RetryPolicy, offset_bounds};
use crate::market::{MarketZone, PartitionBy};

/// Result of the comparison with Kafka.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KafkaReport {
    pub topic: String,
    pub records: u64,
    pub rows: u64,
    pub dead_letters: u64,
    pub partitions: Vec<PartitionComparison>,
}

/// The tables and their contents, as read by the previous checks.
pub(super) struct TablesRead<'a> {
    pub ticks: (&'a LoggedTable, &'a LoggedVersion, &'a TableContents),
    pub dead_letters: (&'a LoggedTable, &'a LoggedVersion, &'a TableContents),
    pub zone: &'a MarketZone,
}

/// Compares the tables with the topic.
///
/// # Errors
/// Kafka or the store doesn't respond, the topic is not the one of the lake, or this version can't read the lake's
/// mapping.
pub(super) async fn compare(
    mut kafka: KafkaSettings,
    checked: &TablesRead<'_>,
    limit: u64,
    findings: &mut Findings,
    not_checked: &mut Vec<String>,
    progress: &Arc<VerifyProgress>,
) -> Result<KafkaReport, VerifyError> {
    let (ticks, version, _) = checked.ticks;
    let decoder = decoder_of(version, checked.zone)?;
    let topic = version.topic().unwrap_or_default().to_owned();
    if kafka.topic.is_empty() {
        kafka.topic.clone_from(&topic);
    }
    if kafka.topic != topic {
        let problem = format!("the lake holds topic '{topic}', not '{}'; correct --topic or --table", kafka.topic);
        return Err(VerifyError::Usage(problem));
    }
    kafka.validate().map_err(|error| VerifyError::Usage(error.to_string()))?;
    let reader = blocking(move || TopicReader::open(&kafka, RetryPolicy::ONE_SHOT)).await??;
    version.identity().require(reader.identity())?;
    let Some(counters) = counters::counters_of(version) else {
        not_checked.push("Kafka: no counters say which offsets the table has".to_owned());
        return Ok(KafkaReport { topic, ..KafkaReport::default() });
    };
    let windows = windows_of(counters, reader.partitions(), findings);
    progress.expect_records(windows.iter().map(|window| (window.range.end - window.range.start) as u64).sum());

    let (columns, left_out) = compared_columns(&decoder, checked);
    let compared = Arc::new(ComparedColumns { extras: columns, expiry: expiry_of(checked, counters) });
    not_checked.extend(left_out);
    let stored = Arc::new(stored_of(&windows, checked, counters));
    let tables = ComparedTables {
        ticks: (&ticks.table, version),
        dead_letters: (&checked.dead_letters.0.table, checked.dead_letters.1),
        stored: Arc::clone(&stored),
        prunes: findings.counts().all(|(what, _)| what != FindingKind::Statistics),
    };
    let mut work = TopicComparer {
        reader,
        decoder: decoder.decoder,
        compared: Arc::clone(&compared),
        stored,
        progress: Arc::clone(progress),
    };
    let mut comparison = TopicComparison::new(limit);
    for window in &windows {
        let OffsetSpan { partition, range } = window.clone();
        let counts = PartitionComparison { partition, start: range.start, next: range.end, ..Default::default() };
        comparison.partitions.insert(partition, counts);
    }
    for round in rounds_of(&windows) {
        let digests = tables.digests(version.epoch(), &round, &compared).await?;
        let done = blocking(move || {
            let result = work.compare(&round, &digests, &mut comparison);
            (work, comparison, result)
        });
        let result;
        (work, comparison, result) = done.await?;
        result?;
    }
    let named = name_columns(&tables, version.epoch(), &comparison.differing, &compared).await?;
    Ok(report(topic, comparison, named, counters, findings))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, VerifyError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| VerifyError::Reader(error.to_string()))
}

struct LakeDecoder {
    decoder: Decoder,
    /// Names of the extra columns, in the order of the decoder.
    extras: Vec<String>,
}

/// Creates the same decoder as ingest does; the mapping is a property of the table.
fn decoder_of(ticks: &LoggedVersion, zone: &MarketZone) -> Result<LakeDecoder, VerifyError> {
    let problem = |problem: String| VerifyError::Mapping(problem);
    let text = ticks.properties.get(INPUT).ok_or_else(|| problem("missing".to_owned()))?;
    let input: InputSettings = serde_json::from_str(text).map_err(|error| problem(error.to_string()))?;
    let decoder = Decoder::new(&input, zone.clone()).map_err(|error| problem(error.to_string()))?;
    Ok(LakeDecoder { decoder, extras: input.columns.into_keys().collect() })
}

/// The windows from the oldest record in Kafka to the end of the table.
fn windows_of(
    counters: &BTreeMap<i32, PartitionCounters>,
    kafka: &[PartitionWatermarks],
    findings: &mut Findings,
) -> Vec<OffsetSpan> {
    let mut windows = Vec::new();
    for (&partition, counters) in counters {
        let at = kafka.iter().find(|at| at.partition == partition);
        let high = at.map_or(0, |at| at.high);
        if high < counters.next {
            findings.add(TICKS, FindingKind::KafkaEndsBefore, || {
                let next = counters.next;
                let held = at.map_or_else(|| "has no such partition".to_owned(), |at| format!("ends at {}", at.high));
                (format!("partition {partition}"), format!("the table goes to {next}, Kafka {held}"))
            });
            continue;
        }
        let start = counters.first.max(at.map_or(0, |at| at.low));
        if start < counters.next {
            windows.push(OffsetSpan { partition, range: start..counters.next });
        }
    }
    windows
}

/// Columns to compare, and a note on the columns that are left out: an extra column that was added later is NULL in
/// older rows, whatever their messages contain.
fn compared_columns(decoder: &LakeDecoder, checked: &TablesRead<'_>) -> (Vec<(String, usize)>, Option<String>) {
    let (_, version, held) = checked.ticks;
    let extras = decoder.extras.iter().enumerate().map(|(at, name)| (name.clone(), at));
    let (extras, left_out): (Vec<_>, Vec<_>) =
        extras.partition(|(name, _)| version.schema.field_with_name(name).is_ok() && !held.lacking.contains(name));
    let names: Vec<String> = left_out.into_iter().map(|(name, _)| name).collect();
    let note = (!names.is_empty()).then(|| format!("Kafka: columns younger than some files: {}", names.join(", ")));
    (extras, note)
}

/// The dates that retention dropped; `None` if there are none.
fn expiry_of(checked: &TablesRead<'_>, counters: &BTreeMap<i32, PartitionCounters>) -> Option<DateExpiry> {
    let before = |(partition, counters): (&i32, &PartitionCounters)| Some((*partition, counters.expired_before?));
    let before: BTreeMap<_, _> = counters.iter().filter_map(before).collect();
    let by = PartitionBy::of_column(&checked.ticks.1.partition_column)?;
    (!before.is_empty()).then(|| DateExpiry { zone: checked.zone.clone(), by, before })
}

fn stored_of(
    windows: &[OffsetSpan],
    checked: &TablesRead<'_>,
    counters: &BTreeMap<i32, PartitionCounters>,
) -> BTreeMap<i32, StoredOffsets> {
    let ((_, version, rows), (_, _, dead_letters)) = (checked.ticks, checked.dead_letters);
    let epoch = version.epoch();
    let stored = |window: &OffsetSpan| {
        let known = counters.get(&window.partition);
        let rows = rows.identities.of(epoch, window.partition);
        let dead_letters = dead_letters.identities.of(epoch, window.partition);
        let mut twice = rows.map(|rows| rows.twice().clone()).unwrap_or_default();
        twice |= dead_letters.map(|dead_letters| dead_letters.twice().clone()).unwrap_or_default();
        let stored = StoredOffsets {
            rows: rows.map(|rows| rows.offsets()).unwrap_or_default(),
            dead_letters: dead_letters.map(|dead_letters| dead_letters.offsets()).unwrap_or_default(),
            twice,
            lost: known.map(|known| known.lost_ranges.clone()).unwrap_or_default(),
            unplaced_before: known.filter(|known| known.unplaced() > 0).map(PartitionCounters::unplaced_end),
        };
        (window.partition, stored)
    };
    windows.iter().map(stored).collect()
}

type DifferingColumns = BTreeMap<(i32, i64), BTreeSet<String>>;

/// Names the columns in which the first differing rows differ. The files that may contain these rows are read a second
/// time.
async fn name_columns(
    tables: &ComparedTables<'_>,
    epoch: i32,
    differing: &[DifferingRows],
    compared: &Arc<ComparedColumns>,
) -> Result<DifferingColumns, VerifyError> {
    let named = Arc::new(Mutex::new(DifferingColumns::new()));
    if differing.is_empty() {
        return Ok(DifferingColumns::new());
    }
    let decoded = differing.iter().map(|one| ((one.partition, one.offset), one.decoded.clone()));
    let decoded: Arc<BTreeMap<_, _>> = Arc::new(decoded.collect());
    let (table, version) = tables.ticks;
    let may_hold = |file: &&LoggedFile| match offset_bounds(file.stats.as_deref()) {
        Some((low, high)) if tables.prunes => differing.iter().any(|one| (low..=high).contains(&one.offset)),
        _ => true,
    };
    let (sink, compared) = (Arc::clone(&named), Arc::clone(compared));
    each_batch(table, version.files.iter().filter(may_hold), move |batch| {
        let Some(rows) = compared.of_batch(batch) else { return };
        for at in (0..batch.num_rows()).filter(|at| rows.epoch.value(*at) == epoch) {
            let key = (rows.partition.value(at), rows.offset.value(at));
            let Some(decoded) = decoded.get(&key) else { continue };
            let row = decoded.index.iter().position(|index| *index == rows.index.value(at));
            let columns = match row {
                Some(row) => compared.differing(&rows, at, decoded, row),
                None => vec!["kafka_index"],
            };
            let mut named = sink.lock().unwrap_or_else(PoisonError::into_inner);
            named.entry(key).or_default().extend(columns.into_iter().map(str::to_owned));
        }
    })
    .await?;
    let named = named.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(named.clone())
}

fn report(
    topic: String,
    comparison: TopicComparison,
    named: DifferingColumns,
    counters: &BTreeMap<i32, PartitionCounters>,
    findings: &mut Findings,
) -> KafkaReport {
    let TopicComparison { partitions, findings: found, differing, differing_rows, not_stored, .. } = comparison;
    findings.merge(found);
    let mut differing = differing.into_iter();
    for _ in 0..differing_rows {
        findings.add(TICKS, FindingKind::KafkaRow, || {
            let Some(DifferingRows { partition, offset, .. }) = differing.next() else { return Default::default() };
            let columns = named.get(&(partition, offset)).filter(|columns| !columns.is_empty());
            let columns = columns.map(|columns| columns.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
            // All stored rows match, so some ticks of the message are missing.
            let detail = columns.map_or("the message holds more ticks".to_owned(), |columns| format!("in {columns}"));
            (position(partition, offset), detail)
        });
    }
    for (partition, counts) in &partitions {
        let none = PartitionCounters::default();
        let known = counters.get(partition).unwrap_or(&none);
        // If the counters don't locate the offsets that were given up, that many early offsets may lack a row.
        let unplaced = known.unplaced().unsigned_abs();
        let explained = counts.not_stored_early.min(unplaced);
        if counts.not_stored > explained {
            let mut kept = not_stored.get(partition).into_iter().flatten();
            for _ in 0..counts.not_stored {
                findings.add(TICKS, FindingKind::KafkaNotStored, || {
                    let Some((offset, detail)) = kept.next() else { return Default::default() };
                    (position(*partition, *offset), format!("{detail}, and neither table has it"))
                });
            }
        }
        if counts.skipped > known.skipped.unsigned_abs().saturating_add(unplaced - explained) {
            findings.add(TICKS, FindingKind::KafkaCounts, || {
                let detail = format!("Kafka holds {} skips, the counters say {}", counts.skipped, known.skipped);
                (format!("partition {partition}"), detail)
            });
        }
    }
    let sum = |of: fn(&PartitionComparison) -> u64| partitions.values().map(of).sum();
    KafkaReport {
        topic,
        records: sum(|counts| counts.records),
        rows: sum(|counts| counts.rows),
        dead_letters: sum(|counts| counts.dead_letters),
        partitions: partitions.into_values().collect(),
    }
}
