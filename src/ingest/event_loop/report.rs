//! The status that the loop publishes: commits are counted once a batch, and the status is published after every event
//! and at least once a second.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::ingest::batching::assemble::now_micros;
use crate::ingest::error::IngestError;
use crate::ingest::event_loop::counters::NewestTimestamps;
use crate::ingest::event_loop::partitions::OwnedPartition;
use crate::ingest::event_loop::pipeline::Pipeline;
use crate::ingest::event_loop::status::{CountAndBytes, LastCommit, PartitionStatus};
use crate::ingest::flushing::flush::FlushReport;
use crate::kafka::ConsumerCommand;
use crate::util::crash::{self, CrashPoint};

impl Pipeline {
    pub(in crate::ingest) fn on_committed(
        &mut self,
        version: u64,
        resolved: bool,
        flushed: &FlushReport,
        newest: &NewestTimestamps,
    ) -> Result<(), IngestError> {
        let mut rows = 0;
        let mut offsets = Vec::new();
        for advance in &flushed.advances {
            rows += advance.counts.rows;
            if let Some(partition) = self.partitions.get_mut(advance.partition) {
                partition.committed = Some(advance.range.next());
                partition.dead_base = flushed.dead_next.get(&advance.partition).copied().or(partition.dead_base);
                partition.newest = newest.get(&advance.partition).copied().or(partition.newest);
                offsets.push((advance.partition, advance.range.next()));
            }
        }
        let ranges: Vec<String> =
            flushed.advances.iter().map(|advance| format!("{}:{}", advance.partition, advance.range)).collect();
        let bytes = flushed.file_bytes.iter().sum();
        tracing::info!(
            version,
            rows,
            files = flushed.file_bytes.len(),
            bytes,
            encode_ms = flushed.encoding.as_millis() as u64,
            ms = flushed.elapsed.as_millis() as u64,
            dead = flushed.dead.values().sum::<u64>(),
            ranges = ranges.join(" "),
            outcome = if resolved { "unknown_resolved" } else { "ok" },
            "committed"
        );
        self.optional.committed();
        crash::at(CrashPoint::OffsetsCommitting);
        self.consumer.send(ConsumerCommand::Commit(offsets))?;
        let at = now_micros();
        let (files, elapsed) = (flushed.file_bytes.len() as u64, flushed.elapsed);
        self.status.send_modify(|status| {
            status.version = version;
            status.commits += 1;
            status.writing = CountAndBytes::default();
            status.last_commit = Some(LastCommit { version, at, rows, files, bytes, elapsed });
            status.histograms.commit.record(elapsed.as_micros() as u64);
            flushed.file_bytes.iter().for_each(|bytes| status.histograms.file_bytes.record(*bytes));
            if let Some(newest) = newest.values().max() {
                // A producer's clock may be ahead of ours.
                let waited = at.saturating_sub(newest.saturating_mul(1_000));
                status.histograms.end_to_end.record(u64::try_from(waited).unwrap_or(0));
            }
            flushed.advances.iter().for_each(|advance| status.committed.add(&advance.counts));
            for (reason, count) in &flushed.dead {
                *status.dead.entry(*reason).or_default() += count;
            }
            for (kind, count) in &flushed.skips {
                *status.skips.entry(kind.clone()).or_default() += count;
            }
        });
        Ok(())
    }

    /// With `all`, also publishes what data events don't change, which is expensive with many partitions.
    pub(in crate::ingest) fn publish(&mut self, all: bool) {
        let Self { counters, partitions, batch, .. } = self;
        self.status.send_modify(|status| {
            status.last_heartbeat = Some(Instant::now());
            status.buffered_rows = batch.rows();
            status.buffered_bytes = batch.bytes();
            status.read = counters.read;
            status.coercions = counters.coercions;
            status.dead_share = self.dead_share.value();
            status.lag = partitions.lag();
            status.unread = partitions.unread();
            status.already_applied = counters.already_applied.load(Ordering::Relaxed);
            status.brokers_unreachable = self.brokers.are_unreachable();
            if !all {
                return;
            }
            let partition_status = |p: &OwnedPartition| PartitionStatus { end: p.end, lag: p.lag(), newest: p.newest };
            status.next = partitions.iter().filter_map(|(number, p)| Some((number, p.committed?))).collect();
            status.partitions =
                partitions.iter().map(|(number, partition)| (number, partition_status(partition))).collect();
            let waiting_assignments: usize = self.waiting_assignments.iter().map(|(_, assigned)| assigned.len()).sum();
            status.pending = waiting_assignments + self.unannounced.len() + self.stale_watermarks.len();
            status.is_idle = counters.is_idle;
            status.rebalances = counters.rebalances;
            status.writing = counters.writing;
            status.lake = counters.tally.read();
            // A flush in flight has taken the lake.
            if let Some(lake) = &self.lake {
                status.files = lake.file_count();
            }
            status.maintenance.clone_from(&counters.maintenance.borrow_and_update());
        });
    }

    /// Probes the brokers, if that is due.
    pub(in crate::ingest) fn heartbeat(&mut self) {
        if let Some(answer) = self.brokers.next_probe(Instant::now())
            && let Err(gone) = self.consumer.send(ConsumerCommand::TopicId { answer })
        {
            tracing::debug!("{gone}");
        }
    }
}
