//! The metrics: their names, their help texts and the source of each value. `docs/operations.md` lists them for
//! operators.

use super::process::resident_bytes;
use super::text::{Kind, Text};
use super::view::MetricsSnapshot;
use crate::decode::{RejectionReason, SkipKind};
use crate::ingest::{DeadLetterShare, MaintenanceOutcome, MaintenanceWork};
use crate::lake::{CommitAttempt, CommittedTable};

const MICROS: f64 = 1e6;

/// All metrics in Prometheus' text format.
pub(super) fn families(moment: &MetricsSnapshot<'_>) -> String {
    let mut text = Text::default();
    process(&mut text, moment);
    read(&mut text, moment);
    partitions(&mut text, moment);
    commits(&mut text, moment);
    table(&mut text, moment);
    text.finish()
}

fn process(text: &mut Text, moment: &MetricsSnapshot<'_>) {
    let MetricsSnapshot { facts, .. } = moment;
    let mut build = text.family("tickhouse_build_info", Kind::Gauge, "The program; always 1");
    build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let ready = f64::from(u8::from(moment.reasons().is_empty()));
    text.gauge("tickhouse_ready", "1 while /readyz says yes", Some(ready));
    let started = facts.started_at as f64 / MICROS;
    text.gauge("process_start_time_seconds", "When the process started, since the epoch", Some(started));
    let resident = resident_bytes().map(|bytes| bytes as f64);
    text.gauge("process_resident_memory_bytes", "Memory that the process has", resident);
    let limit = Some(facts.memory_limit as f64);
    text.gauge("tickhouse_memory_limit_bytes", "Memory limit of the process", limit);
}

fn read(text: &mut Text, MetricsSnapshot { status, .. }: &MetricsSnapshot<'_>) {
    text.counter("tickhouse_messages_read_total", "Messages taken into a batch", status.read.count);
    text.counter("tickhouse_read_bytes_total", "Bytes of their payloads", status.read.bytes);
    let mut rows = text.family("tickhouse_buffer_rows", Kind::Gauge, "Rows read and not committed");
    rows.sample(&[("state", "filling")], status.buffered_rows as f64);
    rows.sample(&[("state", "writing")], status.writing.count as f64);
    let mut bytes = text.family("tickhouse_buffer_bytes", Kind::Gauge, "Decoded bytes of those rows");
    bytes.sample(&[("state", "filling")], status.buffered_bytes as f64);
    bytes.sample(&[("state", "writing")], status.writing.bytes as f64);
    let help = "Values taken in another form than the canonical one";
    let mut coerced = text.family("tickhouse_coerced_total", Kind::Counter, help);
    for (kind, count) in status.coercions.kinds() {
        coerced.sample(&[("kind", kind)], count as f64);
    }
    let help = "Messages that Kafka delivered again and the table had already";
    text.counter("tickhouse_already_applied_total", help, status.already_applied);
    let help = "Times that the group gave this worker partitions, or took some";
    text.counter("tickhouse_rebalances_total", help, status.rebalances);
}

fn partitions(text: &mut Text, moment: &MetricsSnapshot<'_>) {
    let MetricsSnapshot { status, facts, .. } = moment;
    let assigned = status.partitions.len() + status.pending;
    text.gauge("tickhouse_assigned_partitions", "Partitions of this worker", Some(assigned as f64));
    let numbers: Vec<(i32, String)> = status.partitions.keys().map(|number| (*number, number.to_string())).collect();
    let mut each = |name, help, value: &dyn Fn(i32) -> Option<f64>| {
        let mut family = text.family(name, Kind::Gauge, help);
        for (number, label) in &numbers {
            if let Some(value) = value(*number) {
                family.sample(&[("topic", &facts.topic), ("partition", label)], value);
            }
        }
    };
    each("tickhouse_consumer_lag", "Messages from what is committed to the end", &|number| {
        Some(status.partitions.get(&number)?.lag as f64)
    });
    let help = "Age of the newest record in the table while there are newer ones; 0 at the end";
    each("tickhouse_consumer_lag_seconds", help, &|number| moment.seconds_behind(number));
    each("tickhouse_committed_offset", "Next offset, as the table has it", &|number| {
        Some(*status.next.get(&number)? as f64)
    });
    let help = "Lag in seconds of the partition that is furthest behind";
    text.gauge("tickhouse_freshness_seconds", help, moment.freshness());
}

fn commits(text: &mut Text, MetricsSnapshot { status, .. }: &MetricsSnapshot<'_>) {
    let counts = &status.committed;
    text.counter("tickhouse_rows_committed_total", "Rows committed to ticks", counts.rows.unsigned_abs());
    let help = "Offsets committed, by what became of them";
    let mut fates = text.family("tickhouse_offsets_committed_total", Kind::Counter, help);
    for (fate, count) in [
        ("stored", counts.stored_offsets),
        ("dead", counts.dead),
        ("skipped", counts.skipped),
        ("hole", counts.holes),
        ("lost", counts.lost),
    ] {
        fates.sample(&[("fate", fate)], count as f64);
    }
    let help = "Messages committed to dead_letters, by reason";
    let mut dead = text.family("tickhouse_dead_letters_total", Kind::Counter, help);
    for reason in RejectionReason::ALL {
        let count = status.dead.get(reason).copied().unwrap_or(0);
        dead.sample(&[("reason", reason.as_str())], count as f64);
    }
    let help = "Share of the last thousands of messages that became dead letters, from 0 to 1";
    text.gauge("tickhouse_dead_letter_ratio", help, status.dead_share.map(DeadLetterShare::value));
    let help = "Messages that are neither ticks nor dead letters, by kind";
    let mut skipped = text.family("tickhouse_skipped_total", Kind::Counter, help);
    let mut skips = status.skips.clone();
    for always in [SkipKind::Tombstone, SkipKind::Filtered] {
        skips.entry(always).or_default();
    }
    for (kind, count) in &skips {
        skipped.sample(&[("kind", &kind.to_string())], *count as f64);
    }
    let help = "Attempts at commits, by table and outcome";
    let mut attempts = text.family("tickhouse_commits_total", Kind::Counter, help);
    for table in CommittedTable::ALL {
        for attempt in CommitAttempt::ALL {
            let count = status.lake.commits(table, attempt);
            attempts.sample(&[("table", table.name()), ("outcome", attempt.name())], count as f64);
        }
    }
    let help = "Requests to the store that failed and were made again";
    text.counter("tickhouse_store_faults_total", help, status.lake.faults);
    let histograms = &status.histograms;
    let help = "From a full batch to its commit: encoding, upload, commit";
    text.histogram("tickhouse_commit_duration_seconds", help, &histograms.commit, MICROS);
    let help = "From the Kafka timestamp of the newest record of a batch to its commit";
    text.histogram("tickhouse_end_to_end_latency_seconds", help, &histograms.end_to_end, MICROS);
    text.histogram("tickhouse_parquet_file_bytes", "Sizes of the files of ticks", &histograms.file_bytes, 1.0);
    let at = status.last_commit.map(|commit| commit.at as f64 / MICROS);
    text.gauge("tickhouse_last_commit_timestamp_seconds", "When the last commit was done, since the epoch", at);
}

fn table(text: &mut Text, MetricsSnapshot { status, .. }: &MetricsSnapshot<'_>) {
    let known = status.files > 0 || status.version > 0;
    let of_table = |value: u64| known.then_some(value as f64);
    text.gauge("tickhouse_table_version", "Version of ticks", of_table(status.version));
    text.gauge("tickhouse_table_files", "Data files of ticks", of_table(status.files));
    let log_files = status.maintenance.checkpoint.map(|version| status.version.saturating_sub(version) as f64);
    text.gauge("tickhouse_log_files", "Commits of ticks since its newest checkpoint", log_files);
    let help = "Runs of maintenance tasks, by kind and outcome";
    let mut runs = text.family("tickhouse_maintenance_runs_total", Kind::Counter, help);
    for work in MaintenanceWork::ALL {
        for ran in MaintenanceOutcome::ALL {
            let count = status.maintenance.runs.get(&(work, ran)).copied().unwrap_or(0);
            runs.sample(&[("kind", work.name()), ("outcome", ran.name())], count as f64);
        }
    }
    let help = "Bytes written by maintenance tasks, by kind";
    let mut bytes = text.family("tickhouse_maintenance_bytes_total", Kind::Counter, help);
    for work in MaintenanceWork::ALL {
        let count = status.maintenance.bytes.get(&work).copied().unwrap_or(0);
        bytes.sample(&[("kind", work.name())], count as f64);
    }
}
