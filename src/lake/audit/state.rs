//! Reads the log of a table without the kernel: damage becomes a finding instead of an error, and everything before it
//! can still be checked.
//!
//! Invariant: the state is that of one version, and every commit from the checkpoint (or version 0) up to it was read
//! and is complete.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::logstore::commit_uri_from_version;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::lake::error::LakeError;
use crate::lake::log::actions::{Action, parse_commit, read_checkpoint};
use crate::lake::log::checkpoint_hint::{CHECKPOINT_HINT, LastCheckpoint};
use crate::lake::log::logged_version::{LogReplay, LoggedFile, LoggedVersion, record_of};
use crate::lake::store::location::Location;
use crate::lake::store::log_file::{COMMIT, LOG, commit_name, versioned};
use crate::lake::store::root::{StoreSettings, prefixed, root_store};
use crate::lake::store::root_folder::require_folder;
use crate::lake::store::stored_file::StoredFile;

/// Commits that are fetched at once.
const FETCHES: usize = 16;
/// Attempts to read a log while another process cleans it.
const ATTEMPTS: usize = 3;

/// Kinds of damage in a log.
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
    /// The affected log file or data file.
    pub location: String,
    pub detail: String,
}

/// The result of reading the log of a table.
#[derive(Clone)]
pub struct AuditedTable {
    /// Name of the table for messages.
    pub(in crate::lake) location: Arc<str>,
    /// Paths are relative to the root of the table.
    pub(in crate::lake) store: Arc<dyn ObjectStore>,
    /// Newest version that the log names.
    pub newest: u64,
    /// Commits that were read.
    pub commits: u64,
    pub problems: Vec<LogProblem>,
    /// The newest version before any damage; `None` if no version can be reconstructed.
    pub state: Option<LoggedVersion>,
}

impl AuditedTable {
    /// Sizes of the data files in the store; one request lists a thousand of them.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn sizes(&self) -> Result<HashMap<Path, u64>, LakeError> {
        let failed = |error: object_store::Error| LakeError::store("list the files", &self.location, &error);
        let mut sizes = HashMap::new();
        let mut listed = self.store.list(None);
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            if !object.location.prefix_matches(&Path::from(LOG)) {
                sizes.insert(object.location, object.size);
            }
        }
        Ok(sizes)
    }

    /// A file of the table, for reading.
    pub fn file(&self, file: &LoggedFile) -> StoredFile {
        StoredFile {
            location: Arc::clone(&self.location),
            store: Arc::clone(&self.store),
            path: file.path.clone(),
            bytes: file.bytes,
        }
    }
}

/// Reads the logs of a lake.
pub struct Audit {
    pub(in crate::lake) location: Location,
    pub(in crate::lake) root: Arc<dyn ObjectStore>,
}

impl Audit {
    /// # Errors
    /// The settings don't describe a store.
    pub fn new(location: &Location, store: &StoreSettings) -> Result<Self, LakeError> {
        require_folder(location)?;
        Ok(Self::of(location, &root_store(location, store)?))
    }

    pub(in crate::lake) fn of(location: &Location, root: &Arc<dyn ObjectStore>) -> Self {
        Self { location: location.clone(), root: Arc::clone(root) }
    }

    /// Audits one table; `None` if it doesn't exist.
    ///
    /// # Errors
    /// The store doesn't answer, or the table needs a protocol that tickhouse doesn't know.
    pub async fn table(&self, name: &str) -> Result<Option<AuditedTable>, LakeError> {
        let location = format!("{}/{name}", self.location);
        let store = prefixed(&self.root, &self.location.table_url(name))?;
        let mut attempt = 1;
        loop {
            let log = LogReader { location: &location, store: &store };
            match log.read().await {
                // A clean-up deletes files that newer checkpoints have made superfluous.
                Err(LogReadError::Gone(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(LogReadError::Gone(file)) => {
                    let detail = format!("{file} was listed and is not there");
                    return Err(LakeError::Table { action: "read the log", table: location, detail });
                }
                Err(LogReadError::Failed(error)) => return Err(error),
                Ok(read) => return Ok(read),
            }
        }
    }
}

enum LogReadError {
    Gone(Path),
    Failed(LakeError),
}

struct LogReader<'a> {
    location: &'a str,
    store: &'a Arc<dyn ObjectStore>,
}

/// The files of a log.
#[derive(Default)]
struct ListedLog {
    commits: BTreeMap<u64, Path>,
    /// The parts of each checkpoint, by version.
    checkpoints: BTreeMap<u64, Vec<Path>>,
}

/// Findings collected while a log is read.
#[derive(Default)]
struct LogFindings {
    problems: Vec<LogProblem>,
    /// Paths that were added although the table had them already.
    twice: Vec<String>,
    commits: u64,
}

impl LogReader<'_> {
    async fn read(&self) -> Result<Option<AuditedTable>, LogReadError> {
        // The hint is read before the list, so that the list contains the checkpoint that it names.
        let hint = self.fetch_unless_absent(&Path::from_iter([LOG, CHECKPOINT_HINT])).await?;
        let listed = self.list().await?;
        let Some(newest) = listed.commits.keys().chain(listed.checkpoints.keys()).max().copied() else {
            return Ok(None);
        };
        let mut found = LogFindings::default();
        found.problems.extend(hint.and_then(|hint| check_checkpoint_hint(&hint, &listed)));
        let mut state = None;
        if let Some((mut replay, from)) = self.replay_from_base(&listed, &mut found).await? {
            if from > newest
                && let Some(commit) = self.fetch_commit(&listed, newest).await?
                && let Err(problem) = parse(newest, &commit)
            {
                found.problems.push(problem);
            }
            let next = self.follow(&listed, from..=newest, &mut replay, &mut found).await?;
            if let Some(version) = next.checked_sub(1) {
                state = Some(self.finish(replay, version, &listed).await?);
            }
        }
        let LogFindings { mut problems, twice, commits } = found;
        problems.extend(twice.into_iter().map(|location| {
            let detail = "the log adds it while it is there already".to_owned();
            LogProblem { damage: LogDamage::PathTwice, location, detail }
        }));
        let (location, store) = (self.location.into(), Arc::clone(self.store));
        Ok(Some(AuditedTable { location, store, newest, commits, problems, state }))
    }

    /// Applies the commits up to the first damage and returns the version after the last applied one. Later commits are
    /// checked, but can't be applied.
    async fn follow(
        &self,
        listed: &ListedLog,
        versions: RangeInclusive<u64>,
        replay: &mut LogReplay,
        found: &mut LogFindings,
    ) -> Result<u64, LogReadError> {
        let (mut next, newest) = (*versions.start(), *versions.end());
        let fetch = |version| async move { (version, self.fetch_commit(listed, version).await) };
        let mut fetched = pin!(stream::iter(versions).map(fetch).buffered(FETCHES));
        while let Some((version, fetched)) = fetched.next().await {
            found.commits += 1;
            let parsed = match fetched? {
                Some(bytes) => parse(version, &bytes),
                None => {
                    let detail = format!("version {version} is missing, the newest is {newest}");
                    Err(commit_problem(version, LogDamage::Hole, detail))
                }
            };
            match parsed {
                Ok(actions) if next == version => {
                    replay.apply(version, actions, &mut found.twice);
                    next += 1;
                }
                Ok(_) => {}
                Err(problem) => found.problems.push(problem),
            }
        }
        Ok(next)
    }

    async fn list(&self) -> Result<ListedLog, LogReadError> {
        let files = self.store.list(Some(&Path::from(LOG))).map_ok(|file| file.location);
        let files: Vec<Path> = files.try_collect().await.map_err(|error| self.failed("list the log", &error))?;
        let mut listed = ListedLog::default();
        for file in files {
            // Deeper folders hold sidecars, which the protocol version of these tables doesn't have.
            if file.parts_count() != 2 {
                continue;
            }
            let Some((version, rest)) = versioned(&file) else { continue };
            if rest == COMMIT {
                listed.commits.insert(version, file);
            } else if rest.starts_with(".checkpoint.") && rest.ends_with(".parquet") {
                listed.checkpoints.entry(version).or_default().push(file);
            }
        }
        Ok(listed)
    }

    /// The state of the newest readable checkpoint, and the version after it.
    async fn replay_from_base(
        &self,
        listed: &ListedLog,
        found: &mut LogFindings,
    ) -> Result<Option<(LogReplay, u64)>, LogReadError> {
        for (version, parts) in listed.checkpoints.iter().rev() {
            let mut replay = LogReplay::default();
            found.twice.clear();
            let mut wrong = None;
            for part in parts {
                let bytes = self.fetch(part).await?;
                let read = read_checkpoint(bytes, |action| replay.take(action, &mut found.twice));
                wrong = wrong.or(read.err().map(|detail| (part, detail)));
            }
            let missing = expected_parts(parts).filter(|expected| *expected != parts.len());
            wrong = wrong.or(missing.map(|expected| (&parts[0], format!("{} of {expected} parts", parts.len()))));
            if wrong.is_none() && replay.metadata.is_none() {
                wrong = Some((&parts[0], "it has no metadata of the table".to_owned()));
            }
            let Some((part, detail)) = wrong else { return Ok(Some((replay, version + 1))) };
            let location = format!("{LOG}/{}", part.filename().unwrap_or_default());
            found.problems.push(LogProblem { damage: LogDamage::Checkpoint, location, detail });
        }
        if listed.commits.contains_key(&0) {
            return Ok(Some((LogReplay::default(), 0)));
        }
        let oldest = listed.commits.keys().next();
        let detail = match oldest {
            Some(oldest) => format!("the oldest commit is {oldest}, and no checkpoint before it can be read"),
            None => "there is no commit, and no checkpoint can be read".to_owned(),
        };
        found.problems.push(LogProblem { damage: LogDamage::NoBeginning, location: LOG.to_owned(), detail });
        Ok(None)
    }

    /// Adds the counters if only older commits have them.
    async fn finish(
        &self,
        mut replay: LogReplay,
        version: u64,
        listed: &ListedLog,
    ) -> Result<LoggedVersion, LogReadError> {
        if replay.record.is_none() {
            for (older, _) in listed.commits.range(..=version).rev() {
                let Some(bytes) = self.fetch_commit(listed, *older).await? else { break };
                // Commits before the checkpoint are not needed, so damage in them is not reported.
                let Ok(actions) = parse_commit(&bytes) else { break };
                replay.record = record_of(&actions).map(|record| (*older, record));
                if replay.record.is_some() {
                    break;
                }
            }
        }
        replay.into_version(version, self.location).map_err(LogReadError::Failed)
    }

    /// `None` if the log has no such commit. A list that was read while commits arrived may lack an existing one.
    async fn fetch_commit(&self, listed: &ListedLog, version: u64) -> Result<Option<Bytes>, LogReadError> {
        match listed.commits.get(&version) {
            Some(file) => self.fetch(file).await.map(Some),
            None => self.fetch_unless_absent(&commit_uri_from_version(Some(version))).await,
        }
    }

    async fn fetch_unless_absent(&self, file: &Path) -> Result<Option<Bytes>, LogReadError> {
        match self.fetch(file).await {
            Err(LogReadError::Gone(_)) => Ok(None),
            fetched => fetched.map(Some),
        }
    }

    async fn fetch(&self, file: &Path) -> Result<Bytes, LogReadError> {
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => LogReadError::Gone(file.clone()),
            error => self.failed("read the log", &error),
        };
        self.store.get(file).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    fn failed(&self, action: &'static str, error: &object_store::Error) -> LogReadError {
        LogReadError::Failed(LakeError::store(action, self.location, error))
    }
}

/// The hint may be out of date, but the checkpoint that it names must exist.
fn check_checkpoint_hint(hint: &[u8], listed: &ListedLog) -> Option<LogProblem> {
    let detail = match serde_json::from_slice::<LastCheckpoint>(hint) {
        Err(error) => error.to_string(),
        Ok(hint) if !listed.checkpoints.contains_key(&hint.version) => {
            format!("it names the checkpoint of version {}, which is not there", hint.version)
        }
        Ok(_) => return None,
    };
    Some(LogProblem { damage: LogDamage::CheckpointHint, location: format!("{LOG}/{CHECKPOINT_HINT}"), detail })
}

fn parse(version: u64, commit: &Bytes) -> Result<Vec<Action>, LogProblem> {
    if commit.trim_ascii().is_empty() {
        let detail = format!("it has {} bytes and no action", commit.len());
        return Err(commit_problem(version, LogDamage::EmptyCommit, detail));
    }
    parse_commit(commit).map_err(|detail| commit_problem(version, LogDamage::TornCommit, detail))
}

fn commit_problem(version: u64, damage: LogDamage, detail: String) -> LogProblem {
    LogProblem { damage, location: format!("{LOG}/{}", commit_name(version)), detail }
}

/// Number of parts according to the name of a part: `..checkpoint.0000000001.0000000003.parquet`.
fn expected_parts(parts: &[Path]) -> Option<usize> {
    let name = parts.first()?.filename()?;
    let mut words = name.rsplit('.').skip(1);
    let (all, _this) = (words.next()?, words.next()?);
    all.parse().ok()
}
