//! Events into the table `signals`: gathered, and committed with how far the reading was, one commit in flight.
//!
//! Invariant: a commit moves a partition only as far as everything below was taken, and it holds the events of exactly
//! that stretch that no commit before has.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::lake::{Advance, CommitOutcome, EventProgress, SignalsWriter};
use crate::live::error::LiveError;
use crate::live::event::Event;
use crate::live::sinks::encode::encode;

/// Offsets that moved without events are committed this often.
const IDLE_COMMIT: Duration = Duration::from_secs(60);
/// How often events are written into new files before their commit; a store that is restored to an earlier state loses
/// the files.
const MAX_ATTEMPTS: u32 = 5;
/// Events that wait while a commit is in flight; beyond, no more ticks are read.
const MAX_WAITING: usize = 500_000;

type FinishedCommit = (SignalsWriter, Result<CommitOutcome, LiveError>, BTreeMap<i32, i64>);

pub(in crate::live) struct EventRecorder {
    /// `None` while a commit is in flight.
    signals: Option<SignalsWriter>,
    in_flight: Option<JoinHandle<FinishedCommit>>,
    waiting: Vec<Arc<Event>>,
    /// The committed next offset of each partition.
    base: BTreeMap<i32, i64>,
    /// Identities at or above the base that the table has: of ticks that overtook others in the re-order buffer.
    known_ids: HashSet<String>,
    committed_at: Instant,
    /// The start is committed before any event.
    needs_first_commit: bool,
    pub(in crate::live) version: u64,
    pub(in crate::live) committed_events: u64,
}

/// How far the events have reached the other sinks.
#[derive(Default)]
pub(in crate::live) struct SinkProgress {
    /// Receives the ends of the event topic once all sent events are acknowledged.
    pub topic: Option<(String, oneshot::Receiver<BTreeMap<i32, i64>>)>,
    /// Microseconds since the epoch; see [`EventProgress`].
    pub webhooks_since: Option<i64>,
}

impl EventRecorder {
    /// `knows_topic`: the newest commit says how far the topic of events was.
    pub(in crate::live) fn new(
        signals: SignalsWriter,
        base: BTreeMap<i32, i64>,
        known_ids: HashSet<String>,
        knows_topic: bool,
    ) -> Self {
        Self {
            needs_first_commit: base.is_empty() || !knows_topic,
            version: signals.version(),
            signals: Some(signals),
            in_flight: None,
            waiting: Vec::new(),
            base,
            known_ids,
            committed_at: Instant::now(),
            committed_events: 0,
        }
    }

    pub(in crate::live) fn push(&mut self, events: &[Arc<Event>]) {
        let is_new =
            |event: &&Arc<Event>| self.known_ids.is_empty() || !self.known_ids.contains(&event.id().to_string());
        self.waiting.extend(events.iter().filter(is_new).cloned());
    }

    /// Whether nothing was ever committed, or nothing for this event topic.
    pub(in crate::live) fn needs_first_commit(&self) -> bool {
        self.needs_first_commit
    }

    pub(in crate::live) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Whether a commit should begin: none is in flight, and there are events or the last commit is long ago.
    pub(in crate::live) fn is_due(&self, next: &BTreeMap<i32, i64>) -> bool {
        self.in_flight.is_none()
            && self.has_moved(next)
            && (!self.waiting.is_empty() || self.committed_at.elapsed() >= IDLE_COMMIT)
    }

    pub(in crate::live) fn has_moved(&self, next: &BTreeMap<i32, i64>) -> bool {
        next.iter().any(|(partition, next)| self.base.get(partition) != Some(next))
    }

    /// Begins a commit of what waits; `next` is how far each partition was taken.
    pub(in crate::live) fn begin(&mut self, next: &BTreeMap<i32, i64>, sink_progress: SinkProgress) {
        let Some(mut signals) = self.signals.take() else { return };
        let events = std::mem::take(&mut self.waiting);
        self.committed_events += events.len() as u64;
        let advance = |(&partition, &next): (&i32, &i64)| {
            let base = self.base.get(&partition).copied();
            let dead = 0;
            (base != Some(next)).then(|| Advance::dead(partition, base, base.unwrap_or(0).min(next), next, dead))
        };
        let advances: Vec<Advance> = next.iter().filter_map(advance).collect();
        let next = next.clone();
        self.in_flight = Some(tokio::spawn(async move {
            let outcome = commit(&mut signals, &events, &advances, sink_progress).await;
            signals.maintain().await;
            (signals, outcome, next)
        }));
    }

    /// Waits for the commit in flight; never returns without one.
    pub(in crate::live) async fn commit_finished(&mut self) -> Result<(), LiveError> {
        let Some(in_flight) = &mut self.in_flight else { return std::future::pending().await };
        let joined = in_flight.await;
        self.in_flight = None;
        let (signals, outcome, next) =
            joined.map_err(|error| LiveError::Internal(format!("commit events: {error}")))?;
        self.version = signals.version();
        self.signals = Some(signals);
        match outcome? {
            CommitOutcome::Committed { .. } | CommitOutcome::AlreadyApplied { .. } => {}
            CommitOutcome::Fenced { partitions } => return Err(LiveError::Fenced { partitions }),
        }
        self.base = next;
        self.committed_at = Instant::now();
        Ok(())
    }

    /// Aborts the commit in flight. As after a crash, the next start finds out whether it succeeded.
    pub(in crate::live) fn abandon(&self) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.abort();
        }
    }

    pub(in crate::live) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }
}

async fn commit(
    signals: &mut SignalsWriter,
    events: &[Arc<Event>],
    advances: &[Advance],
    sink_progress: SinkProgress,
) -> Result<CommitOutcome, LiveError> {
    let mut reached = EventProgress { webhooks_since: sink_progress.webhooks_since, ..EventProgress::default() };
    if let Some((name, flushed)) = sink_progress.topic {
        reached.topic_name = Some(name);
        reached.topic =
            flushed.await.map_err(|_| LiveError::Internal("the events' topic was not flushed".to_owned()))?;
    }
    let mut attempts = 1;
    loop {
        let emitted_at = chrono::Utc::now().timestamp_micros();
        let files = encode(events, emitted_at);
        let files = files.map_err(|error| LiveError::Internal(format!("encode events: {error}")))?;
        let mut added = Vec::with_capacity(files.len());
        for encoded in files {
            signals.put(&encoded.file.path, Bytes::from(encoded.bytes)).await?;
            added.push(encoded.file);
        }
        match signals.commit(&added, advances, &reached).await {
            Err(error) if error.needs_new_files() && attempts < MAX_ATTEMPTS => {
                tracing::warn!("writing the events again: {error}");
                attempts += 1;
            }
            outcome => {
                let outcome = outcome?;
                if let CommitOutcome::Committed { version } = &outcome {
                    tracing::info!(version, events = events.len(), files = added.len(), "committed events");
                }
                return Ok(outcome);
            }
        }
    }
}
