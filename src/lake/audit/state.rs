//! A table as its log tells it, read without the kernel: damage is named instead of refused, and what came before it
//! can still be checked.
//!
//! Invariant: the state is that of one version, of which all commits from the checkpoint (or version 0) on were read
//! and were whole.

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
use crate::lake::log::hint::{HINT, LastCheckpoint};
use crate::lake::log::logged::{LoggedFile, LoggedVersion, Replay, record_of};
use crate::lake::store::empty::require_folder;
use crate::lake::store::location::Location;
use crate::lake::store::log_file::{COMMIT, LOG, commit_name, versioned};
use crate::lake::store::root::{StoreSettings, prefixed, root_store};
use crate::lake::store::stored_file::StoredFile;

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

/// What a log told.
#[derive(Clone)]
pub struct AuditedTable {
    /// As it appears in messages.
    pub(in crate::lake) place: Arc<str>,
    /// Begins at the root of the table.
    pub(in crate::lake) store: Arc<dyn ObjectStore>,
    /// Newest version that the log names.
    pub newest: u64,
    /// Commits that were read.
    pub commits: u64,
    pub problems: Vec<LogProblem>,
    /// The newest version before any damage; `None` where not even that can be told.
    pub state: Option<LoggedVersion>,
}

impl AuditedTable {
    /// Sizes of the data files that the store has, with one request for a thousand of them.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn sizes(&self) -> Result<HashMap<Path, u64>, LakeError> {
        let failed = |error: object_store::Error| LakeError::store("list the files", &self.place, &error);
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
            place: Arc::clone(&self.place),
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
}

/// What comes up while a log is read.
#[derive(Default)]
struct Told {
    problems: Vec<LogProblem>,
    /// Paths that were added while they were there already.
    twice: Vec<String>,
    commits: u64,
}

impl LogReader<'_> {
    async fn read(&self) -> Result<Option<AuditedTable>, Unread> {
        // Before the list, so that the checkpoint which it names is listed.
        let hint = self.fetch_unless_absent(&Path::from_iter([LOG, HINT])).await?;
        let listed = self.list().await?;
        let Some(newest) = listed.commits.keys().chain(listed.checkpoints.keys()).max().copied() else {
            return Ok(None);
        };
        let mut told = Told::default();
        told.problems.extend(hint.and_then(|hint| check_hint(&hint, &listed)));
        let mut state = None;
        if let Some((mut replay, from)) = self.base(&listed, &mut told).await? {
            if from > newest
                && let Some(commit) = self.fetch_commit(&listed, newest).await?
                && let Err(problem) = parsed(newest, &commit)
            {
                told.problems.push(problem);
            }
            let next = self.follow(&listed, from..=newest, &mut replay, &mut told).await?;
            if let Some(version) = next.checked_sub(1) {
                state = Some(self.finish(replay, version, &listed).await?);
            }
        }
        let Told { mut problems, twice, commits } = told;
        problems.extend(twice.into_iter().map(|place| {
            let detail = "the log adds it while it is there already".to_owned();
            LogProblem { damage: LogDamage::PathTwice, place, detail }
        }));
        let (place, store) = (self.place.into(), Arc::clone(self.store));
        Ok(Some(AuditedTable { place, store, newest, commits, problems, state }))
    }

    /// Applies the commits up to the first damage; the version that would come next. Those behind it are looked at,
    /// too, but nothing can be built on them.
    async fn follow(
        &self,
        listed: &Listed,
        versions: RangeInclusive<u64>,
        replay: &mut Replay,
        told: &mut Told,
    ) -> Result<u64, Unread> {
        let (mut next, newest) = (*versions.start(), *versions.end());
        let fetch = |version| async move { (version, self.fetch_commit(listed, version).await) };
        let mut fetched = pin!(stream::iter(versions).map(fetch).buffered(FETCHES));
        while let Some((version, fetched)) = fetched.next().await {
            told.commits += 1;
            let parsed = match fetched? {
                Some(bytes) => parsed(version, &bytes),
                None => {
                    let detail = format!("version {version} is missing, the newest is {newest}");
                    Err(of_commit(version, LogDamage::Hole, detail))
                }
            };
            match parsed {
                Ok(actions) if next == version => {
                    replay.apply(version, actions, &mut told.twice);
                    next += 1;
                }
                Ok(_) => {}
                Err(problem) => told.problems.push(problem),
            }
        }
        Ok(next)
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
            let Some((version, rest)) = versioned(&file) else { continue };
            if rest == COMMIT {
                listed.commits.insert(version, file);
            } else if rest.starts_with(".checkpoint.") && rest.ends_with(".parquet") {
                listed.checkpoints.entry(version).or_default().push(file);
            }
        }
        Ok(listed)
    }

    /// Where reading begins: what the newest readable checkpoint holds, and the version after it.
    async fn base(&self, listed: &Listed, told: &mut Told) -> Result<Option<(Replay, u64)>, Unread> {
        for (version, parts) in listed.checkpoints.iter().rev() {
            let mut replay = Replay::default();
            told.twice.clear();
            let mut wrong = None;
            for part in parts {
                let bytes = self.fetch(part).await?;
                let read = read_checkpoint(bytes, |action| replay.take(action, &mut told.twice));
                wrong = wrong.or(read.err().map(|detail| (part, detail)));
            }
            let missing = expected_parts(parts).filter(|expected| *expected != parts.len());
            wrong = wrong.or(missing.map(|expected| (&parts[0], format!("{} of {expected} parts", parts.len()))));
            if wrong.is_none() && replay.metadata.is_none() {
                wrong = Some((&parts[0], "it has no metadata of the table".to_owned()));
            }
            let Some((part, detail)) = wrong else { return Ok(Some((replay, version + 1))) };
            let place = format!("{LOG}/{}", part.filename().unwrap_or_default());
            told.problems.push(LogProblem { damage: LogDamage::Checkpoint, place, detail });
        }
        if listed.commits.contains_key(&0) {
            return Ok(Some((Replay::default(), 0)));
        }
        let oldest = listed.commits.keys().next();
        let detail = match oldest {
            Some(oldest) => format!("the oldest commit is {oldest}, and no checkpoint before it can be read"),
            None => "there is no commit, and no checkpoint can be read".to_owned(),
        };
        told.problems.push(LogProblem { damage: LogDamage::NoBeginning, place: LOG.to_owned(), detail });
        Ok(None)
    }

    /// Adds what only older commits tell.
    async fn finish(&self, mut replay: Replay, version: u64, listed: &Listed) -> Result<LoggedVersion, Unread> {
        if replay.record.is_none() {
            for (older, _) in listed.commits.range(..=version).rev() {
                let Some(bytes) = self.fetch_commit(listed, *older).await? else { break };
                // What lies before the checkpoint is not needed, so nobody is told when it is damaged.
                let Ok(actions) = parse_commit(&bytes) else { break };
                replay.record = record_of(&actions).map(|record| (*older, record));
                if replay.record.is_some() {
                    break;
                }
            }
        }
        replay.into_version(version, self.place).map_err(Unread::Failed)
    }

    /// `None`: the log has no such commit. A list that was read while commits came may lack one that is there.
    async fn fetch_commit(&self, listed: &Listed, version: u64) -> Result<Option<Bytes>, Unread> {
        match listed.commits.get(&version) {
            Some(file) => self.fetch(file).await.map(Some),
            None => self.fetch_unless_absent(&commit_uri_from_version(Some(version))).await,
        }
    }

    async fn fetch_unless_absent(&self, file: &Path) -> Result<Option<Bytes>, Unread> {
        match self.fetch(file).await {
            Err(Unread::Gone(_)) => Ok(None),
            fetched => fetched.map(Some),
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
}

/// The hint may be behind, but what it names has to be there.
fn check_hint(hint: &[u8], listed: &Listed) -> Option<LogProblem> {
    let detail = match serde_json::from_slice::<LastCheckpoint>(hint) {
        Err(error) => error.to_string(),
        Ok(hint) if !listed.checkpoints.contains_key(&hint.version) => {
            format!("it names the checkpoint of version {}, which is not there", hint.version)
        }
        Ok(_) => return None,
    };
    Some(LogProblem { damage: LogDamage::CheckpointHint, place: format!("{LOG}/{HINT}"), detail })
}

fn parsed(version: u64, commit: &Bytes) -> Result<Vec<Action>, LogProblem> {
    if commit.trim_ascii().is_empty() {
        let detail = format!("it has {} bytes and no action", commit.len());
        return Err(of_commit(version, LogDamage::EmptyCommit, detail));
    }
    parse_commit(commit).map_err(|detail| of_commit(version, LogDamage::TornCommit, detail))
}

fn of_commit(version: u64, damage: LogDamage, detail: String) -> LogProblem {
    LogProblem { damage, place: format!("{LOG}/{}", commit_name(version)), detail }
}

/// Of a checkpoint in several parts: `..checkpoint.0000000001.0000000003.parquet`.
fn expected_parts(parts: &[Path]) -> Option<usize> {
    let name = parts.first()?.filename()?;
    let mut words = name.rsplit('.').skip(1);
    let (all, _this) = (words.next()?, words.next()?);
    all.parse().ok()
}
