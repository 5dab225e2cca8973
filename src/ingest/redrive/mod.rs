//! Dead letters -> ticks, later: decoded again, by the lake's mapping of now or by another one.
//!
//! ```text
//!  dead_letters: who they are ──> wanted ──┐ minus what ticks holds of these offsets ──> open
//!  dead_letters: payloads of open ones ──> decoder ──> batch ──> sorted Parquet ──> commit with a txn of replays
//! ```
//!
//! A letter is open while `ticks` has no row of its offset. Letters are never changed.
//!
//! Invariants:
//! - What is open is told by the version whose count of replay commits the next commit requires, so two replays at
//!   once, or one that was killed and runs again, add every row once.
//! - Only offsets below ingest's next one are replayed: ingest adds no row of them any more.
//!
//! Memory: a bitmap of offsets for the letters that are wanted, one batch of letters that are read, and the rows of one
//! commit.

mod batch;
mod error;
mod letters;
mod mark;
mod offsets;
mod report;
mod wanted;

use std::sync::Arc;

use arrow::datatypes::Field;
use tokio_util::sync::CancellationToken;

pub use error::ReplayError;
pub use report::{Example, ReasonReport, Report};
pub use wanted::Wanted;

use crate::decode::{Decoder, InputSettings, Message, Verdict};
use crate::ingest::TickEncoder;
use crate::lake::{Lake, Location, ReplayBatch, ReplayOutcome, RetryPolicy, StoreSettings, TableView, ticks_schema};
use crate::market::{MarketZone, PartitionBy};
use crate::tail::{lake_input, lake_zone};
use crate::util::crash::{self, CrashPoint};
use batch::{Decoded, Ready};
use letters::{Letter, Letters};
use wanted::Selection;

#[derive(Debug, Clone)]
pub struct ReplaySettings {
    pub location: Location,
    pub store: StoreSettings,
    pub wanted: Wanted,
    /// Instead of the mapping that the lake has.
    pub input: Option<InputSettings>,
    /// Nothing is written.
    pub dry_run: bool,
    /// Letters of one commit, at most.
    pub commit_letters: usize,
}

/// Everything that stays the same over a run.
struct Replay {
    lake: Lake,
    decoder: Decoder,
    encoder: TickEncoder,
    settings: ReplaySettings,
    stop: CancellationToken,
}

/// How a pass over the open letters ended.
enum Pass {
    Done,
    /// Another replay committed: what is open has to be looked up anew.
    Overtaken,
    Stopped,
}

/// Adds the ticks of open dead letters to `ticks`. The report tells what was committed, also when `stop` came first.
///
/// # Errors
/// There is no lake or it can't be read or written, the mapping doesn't fit it, a letter isn't what its hash says.
pub async fn replay(settings: ReplaySettings, stop: &CancellationToken) -> Result<Report, ReplayError> {
    let mut replay = Replay::open(settings, stop).await?;
    let mut report = Report { dry_run: replay.settings.dry_run, ..Report::default() };
    loop {
        let (base, selection) = replay.select().await?;
        report.begin_pass(&selection);
        match replay.pass(base, selection, &mut report).await? {
            Pass::Done => return Ok(report),
            Pass::Stopped => {
                report.stopped = true;
                return Ok(report);
            }
            // Somebody else made progress, so this ends.
            Pass::Overtaken => replay.lake.refresh_with_retry().await?,
        }
    }
}

impl Replay {
    async fn open(settings: ReplaySettings, stop: &CancellationToken) -> Result<Self, ReplayError> {
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
            return Err(ReplayError::Column { column: field.name().clone() });
        }
        let decoder = Decoder::new(&input, zone)?;
        let encoder = TickEncoder::new(lake.epoch(), by, &extras);
        Ok(Self { lake, decoder, encoder, settings, stop: stop.clone() })
    }

    /// Which letters are wanted and open at the version of the last refresh, and the replay commits that it has.
    async fn select(&self) -> Result<(Option<i64>, Selection), ReplayError> {
        let base = self.lake.replays().await?;
        let version = self.lake.newest(0).await?;
        Ok((base, wanted::select(&version, &self.settings.wanted).await?))
    }

    async fn pass(
        &mut self,
        mut base: Option<i64>,
        selection: Selection,
        report: &mut Report,
    ) -> Result<Pass, ReplayError> {
        let mut open = selection.open;
        let mut decoded = Decoded::default();
        let view = self.lake.dead_letters()?;
        for file in &view.files {
            if !open.may_be_in(file) {
                continue;
            }
            let mut letters = Letters::open(&view, file).await?;
            while let Some(rows) = letters.next().await? {
                // A letter that is in the table twice is replayed once.
                for letter in rows.letters(|identity| open.remove(identity)) {
                    self.decode(&letter, &mut decoded, report)?;
                }
                if self.stop.is_cancelled() {
                    return Ok(Pass::Stopped);
                }
                if decoded.is_full(self.settings.commit_letters) {
                    let ready = std::mem::take(&mut decoded);
                    let Some(next) = self.commit(base, ready, report).await? else { return Ok(Pass::Overtaken) };
                    base = next;
                }
            }
        }
        match decoded.is_empty() || self.commit(base, decoded, report).await?.is_some() {
            true => Ok(Pass::Done),
            false => Ok(Pass::Overtaken),
        }
    }

    fn decode(&mut self, letter: &Letter<'_>, decoded: &mut Decoded, report: &mut Report) -> Result<(), ReplayError> {
        if letter.is_cut() {
            report.cut(letter);
            return Ok(());
        }
        letter.require_whole()?;
        let (epoch, partition, offset) = letter.identity;
        let message = Message {
            payload: Some(letter.payload),
            key: letter.key,
            headers: &letter.headers,
            offset,
            timestamp: letter.kafka_ts,
        };
        let columns = decoded.columns((epoch, partition), &self.decoder);
        match self.decoder.decode(&message, columns) {
            Verdict::Ticks(rows) => decoded.count(letter, rows),
            Verdict::Skipped(_) => report.skipped(letter),
            Verdict::Dead(rejection) => report.still_bad(letter, &rejection),
        }
        Ok(())
    }

    /// The replay commits that there are now; `None` when another replay was faster.
    async fn commit(
        &mut self,
        base: Option<i64>,
        decoded: Decoded,
        report: &mut Report,
    ) -> Result<Option<Option<i64>>, ReplayError> {
        if self.settings.dry_run {
            report.replayed(decoded.by_reason());
            return Ok(Some(base));
        }
        let encoder = self.encoder.clone();
        let Ready { files, replayed, by_reason, event_ts } =
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

fn partition_by(ticks: &TableView) -> Result<PartitionBy, ReplayError> {
    let by = PartitionBy::of_column(&ticks.partition_column);
    by.ok_or_else(|| ReplayError::Partition { column: ticks.partition_column.clone() })
}
