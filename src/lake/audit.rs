//! A table as its log tells it, read without the kernel: damage is named instead of refused, and what came before it
//! can still be checked.
//!
//! Invariant: the state is that of one version, of which all commits from the checkpoint (or version 0) on were read
//! and were whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::{Datelike, NaiveDate};
use deltalake::kernel::StructType;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::actions::{Action, Add, MetaData, parse_commit, read_checkpoint};
use super::commit::app_id;
use super::create::{CLUSTER_ID, EPOCH, TOPIC, TOPIC_ID};
use super::error::LakeError;
use super::location::Location;
use super::record::{CommitRecord, PartitionCounters};
use super::schema::{arrow_schema, read_columns};
use super::store::{StoreSettings, prefixed, root_store};
use super::vacant::require_folder;
use crate::market::{EPOCH_DAYS_FROM_CE, TopicIdentity};

const LOG: &str = "_delta_log";
const HINT: &str = "_last_checkpoint";
/// Digits of a version in the name of a log file.
const VERSION_DIGITS: usize = 20;
/// Commits that are fetched at once.
const FETCHES: usize = 16;
/// Readings of a log from which somebody cleans files away meanwhile.
const ATTEMPTS: usize = 3;

/// What can be wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogDamage {
    Hole,
    EmptyCommit,
    TornCommit,
    Checkpoint,
    CheckpointHint,
    NoBeginning,
    PathTwice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProblem {
    pub damage: LogDamage,
    /// The file of the log, or of the data.
    pub place: String,
    pub detail: String,
}

/// A data file as an Add has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedFile {
    pub path: Path,
    pub bytes: u64,
    /// Days since 1970-01-01; `None` where the Add has no date.
    pub partition_value: Option<i32>,
    /// Delta statistics as JSON.
    pub stats: Option<String>,
}

/// Counters of the newest commit that has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedCounters {
    pub version: u64,
    pub epoch: i32,
    pub partitions: BTreeMap<i32, PartitionCounters>,
}

/// One version of a table.
#[derive(Debug, Clone)]
pub struct LoggedVersion {
    pub version: u64,
    /// All columns, the partition column last; it is not in the files.
    pub schema: SchemaRef,
    pub partition_column: String,
    pub properties: BTreeMap<String, String>,
    /// By path.
    pub files: Vec<LoggedFile>,
    transactions: HashMap<String, i64>,
    pub counters: Option<LoggedCounters>,
}

impl LoggedVersion {
    /// Incarnation of the topic, of `ticks`.
    pub fn epoch(&self) -> i32 {
        self.properties.get(EPOCH).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Name of the topic that lands here, of `ticks`.
    pub fn topic(&self) -> Option<&str> {
        self.properties.get(TOPIC).map(String::as_str)
    }

    /// The cluster, and the topic of that name there, that the offsets belong to.
    pub fn identity(&self) -> TopicIdentity {
        let property = |key| self.properties.get(key).cloned();
        TopicIdentity { cluster_id: property(CLUSTER_ID).unwrap_or_default(), topic_id: property(TOPIC_ID) }
    }

    /// Next offset of a partition by its transaction.
    pub fn next_offset(&self, epoch: i32, partition: i32) -> Option<i64> {
        self.transactions.get(&app_id(epoch, partition)).copied()
    }

    /// Partitions of an epoch that have a transaction.
    pub fn partitions(&self, epoch: i32) -> impl Iterator<Item = i32> {
        let prefix = format!("tickhouse/{epoch}/");
        self.transactions.keys().filter_map(move |id| id.strip_prefix(&prefix)?.parse().ok())
    }
}

/// What a log told.
#[derive(Clone)]
pub struct AuditedTable {
    /// As it appears in messages.
    pub place: String,
    /// Begins at the root of the table.
    pub store: Arc<dyn ObjectStore>,
    /// Newest version that the log names.
    pub newest: u64,
    /// Commits that were read.
    pub commits: u64,
    pub problems: Vec<LogProblem>,
    /// The newest version before any damage; `None` where not even that can be told.
    pub state: Option<LoggedVersion>,
}

/// Reads the logs of a lake.
pub struct Audit {
    location: Location,
    root: Arc<dyn ObjectStore>,
}

impl Audit {
    /// # Errors
    /// The settings don't describe a store.
    pub fn new(location: &Location, store: &StoreSettings) -> Result<Self, LakeError> {
        require_folder(location)?;
        Ok(Self { location: location.clone(), root: root_store(location, store)? })
    }

    /// `None` where there is no such table.
    ///
    /// # Errors
    /// The store doesn't answer, or the table needs a protocol that tickhouse doesn't know.
    pub async fn table(&self, name: &str) -> Result<Option<AuditedTable>, LakeError> {
        let place = format!("{}/{name}", self.location);
        let store = prefixed(&self.root, &self.location.table_url(name))?;
        let mut attempt = 1;
        loop {
            let log = LogReader { place: &place, store: &store };
            match log.read().await {
                // A clean-up deletes what newer checkpoints make superfluous.
                Err(Unread::Gone(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Unread::Gone(file)) => {
                    let detail = format!("{file} was listed and is not there");
                    return Err(LakeError::Table { action: "read the log", table: place, detail });
                }
                Err(Unread::Failed(error)) => return Err(error),
                Ok(read) => return Ok(read),
            }
        }
    }
}

enum Unread {
    Gone(Path),
    Failed(LakeError),
}

struct LogReader<'a> {
    place: &'a str,
    store: &'a Arc<dyn ObjectStore>,
}

/// Names of a log.
#[derive(Default)]
struct Listed {
    commits: BTreeMap<u64, Path>,
    /// Parts by version.
    checkpoints: BTreeMap<u64, Vec<Path>>,
    hint: Option<Path>,
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

impl LogReader<'_> {
    async fn read(&self) -> Result<Option<AuditedTable>, Unread> {
        let listed = self.list().await?;
        let Some(newest) = listed.commits.keys().chain(listed.checkpoints.keys()).max().copied() else {
            return Ok(None);
        };
        let mut problems = Vec::new();
        self.check_hint(&listed, &mut problems).await?;
        let based = self.base(&listed, &mut problems).await?;
        let mut commits = 0;
        let state = match based {
            None => None,
            Some((mut replay, mut next)) => {
                // Later commits are looked at, too, but nothing can be built on them.
                let mut whole = true;
                let versions: Vec<u64> = (next..=newest).collect();
                let mut fetched = stream::iter(&versions)
                    .map(|version| async { (*version, self.fetch_commit(&listed, *version).await) })
                    .buffered(FETCHES);
                while let Some((version, fetched)) = fetched.next().await {
                    let parsed = match fetched? {
                        None => Err((LogDamage::Hole, format!("version {version} is missing, the newest is {newest}"))),
                        Some(bytes) if bytes.trim_ascii().is_empty() => {
                            Err((LogDamage::EmptyCommit, format!("it has {} bytes and no action", bytes.len())))
                        }
                        Some(bytes) => parse_commit(&bytes).map_err(|detail| (LogDamage::TornCommit, detail)),
                    };
                    commits += 1;
                    match parsed {
                        Ok(actions) if whole => {
                            replay.apply(version, actions, &mut problems);
                            next = version + 1;
                        }
                        Ok(_) => {}
                        Err((damage, detail)) => {
                            whole = false;
                            problems.push(LogProblem { damage, place: commit_name(version), detail });
                        }
                    }
                }
                drop(fetched);
                let version = next.checked_sub(1);
                match version {
                    Some(version) => Some(self.finish(replay, version, &listed).await?),
                    None => None,
                }
            }
        };
        let table = AuditedTable {
            place: self.place.to_owned(),
            store: Arc::clone(self.store),
            newest,
            commits,
            problems,
            state,
        };
        Ok(Some(table))
    }

    async fn list(&self) -> Result<Listed, Unread> {
        let files = self.store.list(Some(&Path::from(LOG))).map_ok(|file| file.location);
        let files: Vec<Path> = files.try_collect().await.map_err(|error| self.failed("list the log", &error))?;
        let mut listed = Listed::default();
        for file in files {
            // Below it are sidecars, which the protocol of these tables doesn't know.
            if file.parts_count() != 2 {
                continue;
            }
            let name = file.filename().unwrap_or_default();
            if name == HINT {
                listed.hint = Some(file);
                continue;
            }
            let version = name.get(..VERSION_DIGITS).and_then(|digits| digits.parse::<u64>().ok());
            let (Some(version), Some(rest)) = (version, name.get(VERSION_DIGITS..)) else { continue };
            if rest == ".json" {
                listed.commits.insert(version, file);
            } else if rest.starts_with(".checkpoint.") && rest.ends_with(".parquet") {
                listed.checkpoints.entry(version).or_default().push(file);
            }
        }
        Ok(listed)
    }

    /// The hint may be behind, but what it names has to be there.
    async fn check_hint(&self, listed: &Listed, problems: &mut Vec<LogProblem>) -> Result<(), Unread> {
        let Some(file) = &listed.hint else { return Ok(()) };
        let bytes = self.fetch(file).await?;
        let detail = match serde_json::from_slice::<LastCheckpoint>(&bytes) {
            Err(error) => error.to_string(),
            Ok(hint) if !listed.checkpoints.contains_key(&hint.version) => {
                format!("it names the checkpoint of version {}, which is not there", hint.version)
            }
            Ok(_) => return Ok(()),
        };
        problems.push(LogProblem { damage: LogDamage::CheckpointHint, place: format!("{LOG}/{HINT}"), detail });
        Ok(())
    }

    /// Where reading begins: what the newest readable checkpoint holds, and the version after it.
    async fn base(&self, listed: &Listed, problems: &mut Vec<LogProblem>) -> Result<Option<(Replay, u64)>, Unread> {
        for (version, parts) in listed.checkpoints.iter().rev() {
            let mut replay = Replay::default();
            let mut wrong = None;
            for part in parts {
                let bytes = self.fetch(part).await?;
                let read = read_checkpoint(bytes, |action| replay.take(action, problems));
                wrong = wrong.or(read.err().map(|detail| (part, detail)));
            }
            let missing = expected_parts(parts).filter(|expected| *expected != parts.len());
            wrong = wrong.or(missing.map(|expected| (&parts[0], format!("{} of {expected} parts", parts.len()))));
            if wrong.is_none() && replay.metadata.is_none() {
                wrong = Some((&parts[0], "it has no metadata of the table".to_owned()));
            }
            let Some((part, detail)) = wrong else { return Ok(Some((replay, version + 1))) };
            let place = format!("{LOG}/{}", part.filename().unwrap_or_default());
            problems.push(LogProblem { damage: LogDamage::Checkpoint, place, detail });
        }
        if listed.commits.contains_key(&0) {
            return Ok(Some((Replay::default(), 0)));
        }
        let oldest = listed.commits.keys().next();
        let detail = match oldest {
            Some(oldest) => format!("the oldest commit is {oldest}, and no checkpoint before it can be read"),
            None => "there is no commit, and no checkpoint can be read".to_owned(),
        };
        problems.push(LogProblem { damage: LogDamage::NoBeginning, place: LOG.to_owned(), detail });
        Ok(None)
    }

    /// Adds what only older commits tell.
    async fn finish(&self, replay: Replay, version: u64, listed: &Listed) -> Result<LoggedVersion, Unread> {
        let mut record = replay.record;
        if record.is_none() {
            for (older, _) in listed.commits.range(..=version).rev() {
                let Some(bytes) = self.fetch_commit(listed, *older).await? else { break };
                // What lies before the checkpoint is not needed, so nobody is told when it is damaged.
                let Ok(actions) = parse_commit(&bytes) else { break };
                record = record_of(&actions).map(|record| (*older, record));
                if record.is_some() {
                    break;
                }
            }
        }
        let metadata = replay.metadata.ok_or_else(|| self.wrong("it has no metadata".to_owned()))?;
        let (reader, writer) = replay.protocol.unwrap_or((1, 2));
        if (reader, writer) != (1, 2) {
            return Err(Unread::Failed(LakeError::Protocol { table: self.place.to_owned(), reader, writer }));
        }
        let schema: StructType =
            serde_json::from_str(&metadata.schema_string).map_err(|error| self.wrong(error.to_string()))?;
        let columns = read_columns(&schema, self.place).map_err(Unread::Failed)?;
        let partition_column = metadata.partition_columns.first().cloned().unwrap_or_default();
        let mut files = Vec::with_capacity(replay.files.len());
        for (path, add) in replay.files {
            let value = add.partition_values.get(&partition_column).and_then(Option::as_deref);
            let date = value.and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
            let path = Path::from_url_path(&path).map_err(|error| self.wrong(format!("path {path}: {error}")))?;
            files.push(LoggedFile {
                path,
                bytes: add.size.unsigned_abs(),
                partition_value: date.map(|date| date.num_days_from_ce() - EPOCH_DAYS_FROM_CE),
                stats: add.stats,
            });
        }
        Ok(LoggedVersion {
            version,
            schema: arrow_schema(&columns, &partition_column),
            partition_column,
            properties: metadata.configuration.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            files,
            transactions: replay.transactions,
            counters: record.map(|(version, record)| LoggedCounters {
                version,
                epoch: record.epoch,
                partitions: record.partitions,
            }),
        })
    }

    /// `None`: the log has no such commit.
    async fn fetch_commit(&self, listed: &Listed, version: u64) -> Result<Option<Bytes>, Unread> {
        match listed.commits.get(&version) {
            None => Ok(None),
            Some(file) => self.fetch(file).await.map(Some),
        }
    }

    async fn fetch(&self, file: &Path) -> Result<Bytes, Unread> {
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => Unread::Gone(file.clone()),
            error => self.failed("read the log", &error),
        };
        self.store.get(file).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    fn failed(&self, action: &'static str, error: &object_store::Error) -> Unread {
        Unread::Failed(LakeError::store(action, self.place, error))
    }

    fn wrong(&self, detail: String) -> Unread {
        Unread::Failed(LakeError::Table { action: "read the log", table: self.place.to_owned(), detail })
    }
}

/// What the actions so far say.
#[derive(Default)]
struct Replay {
    files: BTreeMap<String, Add>,
    transactions: HashMap<String, i64>,
    metadata: Option<MetaData>,
    protocol: Option<(i32, i32)>,
    record: Option<(u64, CommitRecord)>,
}

impl Replay {
    fn apply(&mut self, version: u64, actions: Vec<Action>, problems: &mut Vec<LogProblem>) {
        self.record = record_of(&actions).map(|record| (version, record)).or(self.record.take());
        // A commit may take a file away and add it again.
        for path in actions.iter().filter_map(|action| Some(&action.remove.as_ref()?.path)) {
            self.files.remove(path);
        }
        actions.into_iter().for_each(|action| self.take(action, problems));
    }

    fn take(&mut self, action: Action, problems: &mut Vec<LogProblem>) {
        if let Some(txn) = action.txn {
            self.transactions.insert(txn.app_id, txn.version);
        }
        self.metadata = action.metadata.or(self.metadata.take());
        if let Some(protocol) = action.protocol {
            self.protocol = Some((protocol.min_reader_version, protocol.min_writer_version));
        }
        let Some(add) = action.add else { return };
        if add.deletion_vector.is_some() {
            // Only a higher protocol has them.
            self.protocol = Some((3, 7));
        }
        if self.files.contains_key(&add.path) {
            let detail = "the log adds it while it is there already".to_owned();
            problems.push(LogProblem { damage: LogDamage::PathTwice, place: add.path.clone(), detail });
        }
        self.files.insert(add.path.clone(), add);
    }
}

fn record_of(actions: &[Action]) -> Option<CommitRecord> {
    actions.iter().find_map(|action| action.info.as_ref()?.tickhouse.clone())
}

fn commit_name(version: u64) -> String {
    format!("{LOG}/{version:020}.json")
}

/// Of a checkpoint in several parts: `..checkpoint.0000000001.0000000003.parquet`.
fn expected_parts(parts: &[Path]) -> Option<usize> {
    let name = parts.first()?.filename()?;
    let mut words = name.rsplit('.').skip(1);
    let (all, _this) = (words.next()?, words.next()?);
    all.parse().ok()
}
