//! Kinds of findings. Scripts can rely on their names.

use std::collections::BTreeMap;

use serde::Serialize;

macro_rules! kinds {
    ($($variant:ident = $name:literal, $fix:expr;)+) => {
        /// The kind of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FindingKind { $($variant),+ }

        impl FindingKind {
            pub const ALL: &[FindingKind] = &[$(FindingKind::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How to repair it, or what else to do.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix),+ }
            }
        }
    };
}

const RESTORE_COMMIT: &str =
    "restore the commit from a backup; `tickhouse doctor` says whether the lake can do without it";
const RESTORE_CHECKPOINT: &str = "remove it together with _last_checkpoint if the commits from the checkpoint before \
                                  it (or version 0) on are still there, else restore it from a backup";
const RESTORE_FILE: &str = "restore the file from a backup or an older version of the object; else what it held is \
    lost beyond what Kafka still holds";
const RESTORE_TABLE: &str = "restore the table from a backup, or ingest the topic into a new lake as far as Kafka \
    still holds it; keep this one to find out what wrote to it";
const KAFKA_TIMESTAMP: &str = "an earlier version stored Kafka timestamps that the producer had set in another unit; \
    new rows get NULL. Prices, ts and identities are right: leave kafka_ts out, as in SELECT \
                               symbol, ts, close, where a reader can't hold it, and set the producer's timestamps in \
                               milliseconds";
const FIX_OTHER_WRITER: &str = "find out which tool wrote to the table; lakes are written by tickhouse alone";

kinds! {
    LogHole = "log-hole", RESTORE_COMMIT;
    CommitEmpty = "commit-empty", RESTORE_COMMIT;
    CommitTorn = "commit-torn", RESTORE_COMMIT;
    Checkpoint = "checkpoint-unreadable", RESTORE_CHECKPOINT;
    CheckpointHint = "checkpoint-hint-wrong", "delete _last_checkpoint: readers then list the log, and the next \
                                               checkpoint writes it again";
    NoBeginning = "log-without-beginning", "restore the oldest commits or a checkpoint from a backup";
    PathTwice = "path-twice", FIX_OTHER_WRITER;
    FileMissing = "file-missing", RESTORE_FILE;
    FileTruncated = "file-truncated", RESTORE_FILE;
    FileSize = "file-size-differs", RESTORE_FILE;
    FileUnreadable = "file-unreadable", RESTORE_FILE;
    Column = "column-wrong", FIX_OTHER_WRITER;
    Statistics = "statistics-wrong", "queries may skip rows of the file, which are in it all the same: restore the \
                                      commit that added it from a backup, and find out which tool wrote the statistics";
    PartitionDate = "partition-date-wrong", "queries by date miss these rows; restore the commit that added the file, \
        or ingest the topic into a new lake";
    IdentityTwice = "identity-twice", RESTORE_TABLE;
    OffsetOutside = "offset-outside-counters", RESTORE_TABLE;
    CountersMissing = "counters-missing", "another tool has cleaned the log: the next `tickhouse ingest` counts \
                                               the tables again; what was skipped is unknown from then on";
    CountersUnbalanced = "counters-unbalanced", RESTORE_TABLE;
    CountersTransaction = "counters-differ-from-transaction", RESTORE_TABLE;
    RowsMissing = "rows-missing", RESTORE_TABLE;
    RowsSurplus = "rows-surplus", RESTORE_TABLE;
    ReplayedMissing = "replayed-rows-missing", RESTORE_TABLE;
    ReplayedSurplus = "replayed-rows-surplus", RESTORE_TABLE;
    DeadLettersMissing = "dead-letters-missing", RESTORE_TABLE;
    DeadLettersSurplus = "dead-letters-surplus", RESTORE_TABLE;
    KafkaTimestamp = "kafka-ts-out-of-range", KAFKA_TIMESTAMP;
    PayloadHash = "payload-hash-wrong", RESTORE_FILE;
    KafkaEndsBefore = "kafka-ends-before-table", "the topic was recreated or truncated: `tickhouse offsets set \
                                                  --new-epoch` starts a new epoch of its offsets";
    KafkaNotStored = "kafka-record-not-stored", RESTORE_TABLE;
    KafkaRow = "kafka-row-differs", "compare both (`tickhouse query`, `tickhouse ingest --dry-run`); rows of before an \
                                     --accept-input-change were mapped otherwise and differ for that reason";
    KafkaPayload = "kafka-payload-differs", "compare both (`tickhouse dead-letters show --offset`); the topic or the \
                                             table was changed";
    KafkaVerdict = "kafka-verdict-differs", "the record is no tick by the lake's mapping: it was mapped otherwise \
        before an --accept-input-change, or the topic or the table was changed";
    KafkaCounts = "kafka-counts-differ", RESTORE_TABLE;
}

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One problem that `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub table: &'static str,
    #[serde(rename = "what")]
    pub kind: FindingKind,
    /// The affected file, or the partition and offset.
    #[serde(rename = "where")]
    pub location: String,
    pub detail: String,
    pub fix: &'static str,
}

/// Counts all findings, and keeps the first ones of each kind.
#[derive(Debug)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<FindingKind, u64>,
    limit: u64,
}

impl Findings {
    /// Keeps up to `limit` findings of each kind.
    pub fn new(limit: u64) -> Self {
        Self { kept: Vec::new(), counts: BTreeMap::new(), limit }
    }

    /// Adds a finding. `words` is only called if the finding is kept.
    pub fn add(&mut self, table: &'static str, kind: FindingKind, words: impl FnOnce() -> (String, String)) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= self.limit {
            let (location, detail) = words();
            self.kept.push(Finding { table, kind, location, detail, fix: kind.fix() });
        }
    }

    /// Adds the findings of another check.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.counts {
            let mut kept = other.kept.iter().filter(|finding| finding.kind == kind);
            for _ in 0..count {
                let finding = kept.next();
                let table = finding.map_or("", |finding| finding.table);
                self.add(table, kind, || {
                    finding.map(|finding| (finding.location.clone(), finding.detail.clone())).unwrap_or_default()
                });
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of findings of each kind, kept or not.
    pub fn counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }

    /// The kept findings, sorted by kind and then by the order in which they were found.
    pub fn listed(mut self) -> Vec<Finding> {
        self.kept.sort_by_key(|finding| finding.kind);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_kept() {
        let mut findings = Findings::new(2);
        for number in 0..5 {
            findings.add("ticks", FindingKind::FileMissing, || (format!("file {number}"), String::new()));
        }
        findings.add("ticks", FindingKind::LogHole, || ("v".to_owned(), String::new()));
        assert_eq!(findings.counts().collect::<Vec<_>>(), [(FindingKind::LogHole, 1), (FindingKind::FileMissing, 5)]);
        let mut more = Findings::new(2);
        more.add("ticks", FindingKind::LogHole, || ("w".to_owned(), String::new()));
        findings.merge(more);
        assert_eq!(findings.counts().next(), Some((FindingKind::LogHole, 2)));
        let places: Vec<String> = findings.listed().into_iter().map(|finding| finding.location).collect();
        assert_eq!(places, ["v", "w", "file 0", "file 1"]);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FindingKind::ALL.len());
    }
}
