//! Replays dead letters: they are decoded again, with the lake's current mapping or with another one, and become ticks.
//!
//! ```text
//!  dead_letters: keys ──> selection ──┐ minus the offsets that ticks has rows of ──> open dead letters
//!  dead_letters: payloads of open ones ──> decoder ──> ticks ──> sorted Parquet ──> commit with replay transaction
//! ```
//!
//! A dead letter is open while `ticks` has no row of its offset. The rows of `dead_letters` are never changed.
//!
//! Invariants:
//! - The next commit requires the count of replay commits of the version that decided which dead letters are open. So
//!   two concurrent replays, or one that was killed and runs again, add every row once.
//! - Only offsets below the next offset of ingest are replayed: ingest adds no more rows of them.
//!
//! Memory: a bitmap of the selected offsets, one batch of dead letters that are read, and the rows of one commit.

mod dead_letter_file;
mod dead_letter_key;
mod decoded_ticks;
mod error;
mod offset_set;
mod report;
mod selection;

use std::sync::Arc;

use arrow::datatypes::Field;
use tokio_util::sync::CancellationToken;

pub use error::DeadLetterReplayError;
pub use report::{ReasonReport, RejectedExample, ReplayReport};
pub use selection::ReplayFilter;

use crate::decode::{Decoder, InputSettings, RawMessage, Verdict};
use crate::ingest::TickEncoder;
use crate::lake::{Lake, Location, ReplayBatch, ReplayOutcome, RetryPolicy, StoreSettings, TableView, ticks_schema};
use crate::market::{MarketZone, PartitionBy};
use crate::tail::{lake_input, lake_zone};
use crate::util::crash::{self, CrashPoint};
use dead_letter_file::{DeadLetterFile, StoredDeadLetter};
use decoded_ticks::{DecodedTicks, EncodedReplay};
use selection::ReplaySelection;

#[derive(Debug, Clone)]
pub struct DeadLetterReplaySettings {
    pub location: Location,
    pub store: StoreSettings,
    pub filter: ReplayFilter,
    /// Replaces the mapping that is stored with the lake.
    pub input: Option<InputSettings>,
    /// Nothing is written.
    pub dry_run: bool,
    /// The maximum number of dead letters in one commit.
    pub dead_letters_per_commit: usize,
}

/// The state of one run that its passes share.
struct ReplayRun {
    lake: Lake,
    decoder: Decoder,
    encoder: TickEncoder,
    settings: DeadLetterReplaySettings,
    stop: CancellationToken,
}

/// How a pass over the open dead letters ended.
enum PassOutcome {
    Done,
    /// Another replay committed: which dead letters are open has to be determined from scratch.
    Overtaken,
    Stopped,
}

/// Adds the ticks of open dead letters to `ticks`. The report counts what was committed, even if `stop` ended the run
/// early.
///
/// # Errors
/// There is no lake or it can't be read or written, the mapping doesn't fit it, or a payload doesn't match its hash.
pub async fn replay(
    settings: DeadLetterReplaySettings,
    stop: &CancellationToken,
) -> Result<ReplayReport, DeadLetterReplayError> {
    let mut replay = ReplayRun::open(settings, stop).await?;
    let mut report = ReplayReport { dry_run: replay.settings.dry_run, ..ReplayReport::default() };
    loop {
        let (base, selection) = replay.select().await?;
        report.begin_pass(&selection);
        match replay.pass(base, selection, &mut report).await? {
            PassOutcome::Done => return Ok(report),
            PassOutcome::Stopped => {
                report.stopped = true;
                return Ok(report);
            }
            // Each retry means that another replay made progress, so the loop ends.
            PassOutcome::Overtaken => replay.lake.refresh_with_retry().await?,
        }
    }
}

impl ReplayRun {
    async fn open(settings: DeadLetterReplaySettings, stop: &CancellationToken) -> Result<Self, DeadLetterReplayError> {
        let retry = RetryPolicy { cancel: stop.clone(), ..RetryPolicy::default() };
        let lake = Lake::open(&settings.location, &settings.store).await?.with_retry_policy(retry);
        let zone: MarketZone = lake_zone(&lake)?;
        let input = settings.input.clone().map_or_else(|| lake_input(&lake), Ok)?;
        let extras: Vec<_> = input.columns.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect();
        let view = lake.ticks()?;
        let by = partition_by(&view)?;
        let lacks = |field: &&Arc<Field>| {
            view.schema.field_with_name(field.name()).map_or(true, |known| known.data_type() != field.data_type())
        };
        if let Some(field) = ticks_schema(by, &extras).fields().iter().find(lacks) {
            return Err(DeadLetterReplayError::Column { column: field.name().clone() });
        }
        let decoder = Decoder::new(&input, zone)?;
        let encoder = TickEncoder::new(lake.epoch(), by, &extras);
        Ok(Self { lake, decoder, encoder, settings, stop: stop.clone() })
    }

    /// Selects the dead letters as of the last refresh; also returns the count of replay commits at that version.
    async fn select(&self) -> Result<(Option<i64>, ReplaySelection), DeadLetterReplayError> {
        let base = self.lake.replays().await?;
        let version = self.lake.newest(0).await?;
        Ok((base, selection::select(&version, &self.settings.filter).await?))
    }

    async fn pass(
        &mut self,
        mut base: Option<i64>,
        selection: ReplaySelection,
        report: &mut ReplayReport,
    ) -> Result<PassOutcome, DeadLetterReplayError> {
        let mut open = selection.open;
        let mut decoded = DecodedTicks::default();
        let view = self.lake.dead_letters()?;
        for file in &view.files {
            if !open.may_be_in(file) {
                continue;
            }
            let mut file_reader = DeadLetterFile::open(&view, file).await?;
            while let Some(rows) = file_reader.next().await? {
                // A dead letter that is in the table twice is replayed once.
                for dead_letter in rows.dead_letters(|identity| open.remove(identity)) {
                    self.decode(&dead_letter, &mut decoded, report)?;
                }
                if self.stop.is_cancelled() {
                    return Ok(PassOutcome::Stopped);
                }
                if decoded.is_full(self.settings.dead_letters_per_commit) {
                    let ready = std::mem::take(&mut decoded);
                    let Some(next) = self.commit(base, ready, report).await? else { return Ok(PassOutcome::Overtaken) };
                    base = next;
                }
            }
        }
        match decoded.is_empty() || self.commit(base, decoded, report).await?.is_some() {
            true => Ok(PassOutcome::Done),
            false => Ok(PassOutcome::Overtaken),
        }
    }

    fn decode(
        &mut self,
        dead_letter: &StoredDeadLetter<'_>,
        decoded: &mut DecodedTicks,
        report: &mut ReplayReport,
    ) -> Result<(), DeadLetterReplayError> {
        if dead_letter.is_truncated() {
            report.cut(dead_letter);
            return Ok(());
        }
        dead_letter.verify_hash()?;
        let (epoch, partition, offset) = dead_letter.identity;
        let message = RawMessage {
            payload: Some(dead_letter.payload),
            key: dead_letter.key,
            headers: &dead_letter.headers,
            offset,
            timestamp: dead_letter.kafka_ts,
        };
        let columns = decoded.columns((epoch, partition), &self.decoder);
        match self.decoder.decode(&message, columns) {
            Verdict::Ticks(rows) => decoded.count(dead_letter, rows),
            Verdict::Skipped(_) => report.skipped(dead_letter),
            Verdict::Dead(rejection) => report.still_bad(dead_letter, &rejection),
        }
        Ok(())
    }

    /// Returns the new count of replay commits; `None` if another replay committed first.
    async fn commit(
        &mut self,
        base: Option<i64>,
        decoded: DecodedTicks,
        report: &mut ReplayReport,
    ) -> Result<Option<Option<i64>>, DeadLetterReplayError> {
        if self.settings.dry_run {
            report.replayed(decoded.by_reason());
            return Ok(Some(base));
        }
        let encoder = self.encoder.clone();
        let EncodedReplay { files, replayed, by_reason, event_ts } =
            tokio::task::spawn_blocking(move || decoded.encode(&encoder)).await??;
        let store = self.lake.ticks_store();
        let files = self.lake.put_all(&store, files).await?;
        crash::at(CrashPoint::ReplayUploaded);
        let (min_event_ts, max_event_ts) = (Some(event_ts.0), Some(event_ts.1));
        let batch = ReplayBatch { base, files: &files, replayed: &replayed, min_event_ts, max_event_ts };
        match self.lake.commit_replay(&batch).await? {
            ReplayOutcome::Committed { version } => {
                let letters: i64 = replayed.values().map(|replayed| replayed.dead_letters).sum();
                tracing::info!(version, letters, files = files.len(), "replayed dead letters");
                report.replayed(by_reason);
                report.commits += 1;
                report.version = Some(version);
                Ok(Some(Some(base.unwrap_or(0) + 1)))
            }
            ReplayOutcome::Overtaken => Ok(None),
        }
    }
}

fn partition_by(ticks: &TableView) -> Result<PartitionBy, DeadLetterReplayError> {
    let by = PartitionBy::of_column(&ticks.partition_column);
    by.ok_or_else(|| DeadLetterReplayError::Partition { column: ticks.partition_column.clone() })
}
