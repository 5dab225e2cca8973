//! Errors of a lake. Their texts name the cause and the fix, and contain no secret.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use deltalake::DeltaTableError;
use object_store::path::Path;

use crate::lake::store::folder::{CHANGED, MISSING};
use crate::market::TopicMismatch;

#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("no tickhouse tables at {location}: {}", advice_without_tables(location))]
    NoTable { location: String },
    #[error("{table} is gone, and {other} is there: restore it from a backup, or ingest into a new lake")]
    TableGone { table: String, other: String },
    #[error(
        "{location} holds other things, such as '{found}', and no lake: {}",
        advice_for_occupied_location(location)
    )]
    Occupied { location: String, found: String },
    #[error("{} is a file: give --table a folder", path.display())]
    NotAFolder { path: std::path::PathBuf },
    #[error("the lake at {location} was made for something else:{}", format_differences(.differences))]
    Differs { location: String, differences: Vec<SpecDifference> },
    #[error(transparent)]
    TopicMismatch(#[from] TopicMismatch),
    #[error(
        "{table} has protocol ({reader},{writer}), tickhouse writes (1,2): use a table that no other tool has upgraded"
    )]
    Protocol { table: String, reader: i32, writer: i32 },
    #[error(
        "another table is at {table} now than the one that was opened: mount its file system or put its folder back; \
         if it was made again on purpose, start again"
    )]
    Replaced { table: String },
    #[error(
        "{table} went back from version {known} to {found}: an older copy of it is there; put the right one back, or \
         start again to go on from this one as far as Kafka still holds what came after it"
    )]
    WentBack { table: String, known: u64, found: u64 },
    #[error(
        "there is no lake at {location}, and --must-exist (ingest.must_exist) says that there is one: mount its file \
         system or correct --table; a new lake is made by one run without --must-exist"
    )]
    MustExist { location: String },
    #[error(
        "the mapping of messages or the columns of {table} changed while this worker ran, and it goes by the old ones: \
         start it again with the configuration of the worker that changed them"
    )]
    MappingChanged { table: String },
    #[error(
        "{table} has the property delta.appendOnly, so no row may be removed from it: omit --retain, or set the \
         property to false with the tool that set it"
    )]
    AppendOnly { table: String },
    #[error("column {column} of {table} has type {kind}, which tickhouse can't read")]
    ColumnType { table: String, column: String, kind: String },
    #[error(
        "the store behind {location} ignores If-None-Match, so two writers could overwrite each other's commits: \
         use a store with conditional writes (AWS S3 and current MinIO, Garage or SeaweedFS have them)"
    )]
    StoreIgnoresIfNoneMatch { location: String },
    #[error("'{endpoint}' is no endpoint of a store: write a URL, as in https://s3.example.com")]
    Endpoint { endpoint: String },
    #[error("endpoint {endpoint} is not encrypted: use https, or allow it with --s3-allow-http (store.allow_http)")]
    PlainHttp { endpoint: String },
    #[error(
        "create the bucket of {location}: this build can't; build with --features aws, or create it with the store's \
         own tool"
    )]
    NoBucketCreation { location: String },
    #[error("{table} has no version {version}: the newest is {newest}")]
    NoVersion { table: String, version: u64, newest: u64 },
    #[error("the log of {table} does not hold {asked}: the oldest version is {oldest}")]
    TooOld { table: String, asked: String, oldest: String },
    #[error("{action} at {location}: {problem}")]
    Store { action: &'static str, location: String, problem: StoreProblem },
    #[error("{action} of {table}: {detail}")]
    Table { action: &'static str, table: String, detail: String },
    #[error("{file} is damaged ({detail}): {fix}")]
    Damaged { file: String, detail: String, fix: &'static str },
    #[error(
        "partition {partition} can't go back from {next} to {offset}: the table has everything below {next}, so rows \
         would repeat; if the topic was recreated, begin a new epoch with --new-epoch"
    )]
    Backwards { partition: i32, next: i64, offset: i64 },
    #[error("the epoch of {table} changed meanwhile: check the offsets and try again")]
    EpochMoved { table: String },
    #[error(
        "no commit in the log of {table} has counters of partition {partition}: another tool has cleaned it; start \
         `tickhouse ingest`, which counts the tables again"
    )]
    NoCounters { table: String, partition: i32 },
    #[error(
        "{table} was rewritten into the market zone {zone} while it was in use: start again with --market-zone {zone}"
    )]
    ZoneChanged { table: String, zone: String },
    #[error("the batch does not add up: {0}")]
    Unbalanced(String),
    /// The outcome of a commit is unknown; the log has it.
    #[error("{failure} after {} s, a restart finds out ({table}): {last}", waited.as_secs())]
    Unresolved { failure: &'static str, table: String, waited: Duration, last: String },
    /// A commit failed for so long that its files may have been deleted.
    #[error(
        "{file} waited for its commit for more than half a day and may have been deleted: write its rows to a new file"
    )]
    FileExpired { file: String },
    /// A commit was not attempted because a file is missing.
    #[error("{file}, so its commit was not written: its rows have to be written again")]
    FileGone { file: String },
    #[error("stopped: {failure}, a restart finds out ({table}): {last}")]
    Stopped { failure: &'static str, table: String, last: String },
}

/// The lake that contains a location, if the location is named like a table.
fn lake_around(location: &str) -> Option<&str> {
    let (lake, table) = location.trim_end_matches('/').rsplit_once('/')?;
    ["ticks", "dead_letters", "signals"].contains(&table).then_some(lake)
}

fn advice_without_tables(location: &str) -> String {
    match lake_around(location) {
        Some(lake) => format!("--table takes the lake around them, {lake}"),
        None => format!("`tickhouse ingest --table {location} ..` creates them"),
    }
}

fn advice_for_occupied_location(location: &str) -> String {
    match lake_around(location) {
        Some(lake) => format!("--table takes the lake around the table, {lake}"),
        None => "give --table an empty or a new folder or prefix".to_owned(),
    }
}

/// A property that differs between a lake and the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecDifference {
    pub what: String,
    pub in_lake: String,
    pub configured: String,
    pub fix: &'static str,
}

fn format_differences(differences: &[SpecDifference]) -> String {
    use fmt::Write;
    let mut text = String::new();
    for SpecDifference { what, in_lake, configured, fix } in differences {
        let written = write!(text, "\n  {what}: the lake has {in_lake}, the configuration {configured} ({fix})");
        written.expect("a string takes all text");
    }
    text
}

/// Why a store refuses or fails, as far as its response says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreProblem {
    #[error("the bucket does not exist: create it or correct its name")]
    NoBucket,
    #[error("the bucket is in another region: set --s3-region (store.region) to that of the bucket")]
    Region,
    #[error("the credentials are rejected ({code}): check access key, secret key and session token")]
    Credentials { code: String },
    #[error("no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or run with an instance role")]
    NoCredentials,
    #[error("access is denied: allow reading, writing and listing there ({detail})")]
    Denied { detail: String },
    #[error(
        "the certificate of the store can't be trusted: name the PEM file of its authority in SSL_CERT_FILE ({detail})"
    )]
    Certificate { detail: String },
    #[error("the store can't be reached: check the endpoint and the network ({detail})")]
    Unreachable { detail: String },
    /// S3 lists consistently, other stores may not.
    #[error("its list of files lacks {file}, which is there: the list lags behind")]
    StaleList { file: String },
    #[error("the folder is not there: mount its file system again, or put the folder back")]
    FolderMissing,
    #[error("another folder is there than the one that was opened")]
    FolderChanged,
    #[error("the disk is full, or a quota is used up: delete something, or raise the quota")]
    Full,
    #[error("the process has no file handle left: raise the limit (ulimit -n, LimitNOFILE=) and start again")]
    NoHandles,
    #[error("the file system is read-only: make it writable, or give --table a folder on another one")]
    ReadOnly,
    #[error("{detail}")]
    Other { detail: String },
}

impl LakeError {
    pub(in crate::lake) fn store(
        action: &'static str,
        location: impl fmt::Display,
        error: &object_store::Error,
    ) -> Self {
        Self::Store { action, location: location.to_string(), problem: StoreProblem::of(error) }
    }

    pub(in crate::lake) fn delta(action: &'static str, table: &str, error: &DeltaTableError) -> Self {
        match StoreProblem::of(error) {
            StoreProblem::Other { detail } => Self::Table { action, table: table.to_owned(), detail },
            problem => Self::Store { action, location: table.to_owned(), problem },
        }
    }

    /// A later attempt may succeed.
    pub fn is_transient(&self) -> bool {
        !self.is_final()
    }

    /// The store refuses the request: a retry can't help until somebody changes its settings.
    pub(in crate::lake) fn is_refusal(&self) -> bool {
        use StoreProblem::{Certificate, Credentials, Denied, NoBucket, NoCredentials, ReadOnly, Region};
        let Self::Store { problem, .. } = self else { return false };
        matches!(
            problem,
            NoBucket | Region | Certificate { .. } | Credentials { .. } | NoCredentials | Denied { .. } | ReadOnly
        )
    }

    /// The store has a file of the log that it doesn't list.
    pub(in crate::lake) fn stale_list(location: &str, file: &Path) -> Self {
        let problem = StoreProblem::StaleList { file: file.to_string() };
        Self::Store { action: "list the log", location: location.to_owned(), problem }
    }

    pub(in crate::lake) fn is_stale_list(&self) -> bool {
        matches!(self, Self::Store { problem: StoreProblem::StaleList { .. }, .. })
    }

    /// Data files of the commit may be gone: the rows must be written to new files.
    pub fn needs_new_files(&self) -> bool {
        matches!(self, Self::FileExpired { .. } | Self::FileGone { .. })
    }

    /// Another attempt can't help.
    pub(in crate::lake) fn is_final(&self) -> bool {
        !matches!(self, Self::Store { .. } | Self::Table { .. } | Self::Damaged { .. })
    }
}

impl StoreProblem {
    pub(in crate::lake) fn of(error: &(dyn StdError + 'static)) -> Self {
        let text = chain(error);
        let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        const CREDENTIAL_CODES: [&str; 6] = [
            "InvalidAccessKeyId",
            "XAdminUserNotFound",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
        ];
        if has(&[MISSING]) {
            Self::FolderMissing
        } else if has(&[CHANGED]) {
            Self::FolderChanged
        } else if has(&["NoSuchBucket"]) {
            Self::NoBucket
        } else if has(&["AuthorizationHeaderMalformed", "PermanentRedirect"]) {
            Self::Region
        } else if let Some(code) = CREDENTIAL_CODES.iter().find(|code| text.contains(*code)) {
            Self::Credentials { code: (*code).to_owned() }
        } else if has(&["169.254.169.254", "latest/api/token", "latest/meta-data"]) {
            Self::NoCredentials
        } else if has(&["401 Unauthorized", "lacked valid authentication"]) {
            Self::Credentials { code: "401".to_owned() }
        } else if has(&[
            "AccessDenied",
            "403 Forbidden",
            "Permission denied",
            "Operation not permitted",
            "lacked the necessary privileges",
        ]) {
            Self::Denied { detail: brief(&text) }
        } else if has(&["No space left on device", "Disk quota exceeded", "QuotaExceeded", "EDQUOT"]) {
            Self::Full
        } else if has(&["Too many open files"]) {
            Self::NoHandles
        } else if has(&["Read-only file system"]) {
            Self::ReadOnly
        } else if has(&["invalid peer certificate"]) {
            Self::Certificate { detail: brief(&text) }
        } else if has(&["error sending request", "Connection refused", "dns error", "operation timed out"]) {
            Self::Unreachable { detail: brief(&text) }
        } else {
            Self::Other { detail: brief(&text) }
        }
    }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    // The kernel appends a backtrace to its errors where RUST_BACKTRACE is set.
    if let Some(at) = text.find("\n   0: ") {
        text.truncate(at);
    }
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

/// An error text without the parts of the request that a store echoes: XML bodies keep code and message, URLs lose
/// their query (signatures, credentials).
pub(in crate::lake) fn brief(text: &str) -> String {
    const LONGEST: usize = 600;
    let mut kept = String::with_capacity(text.len().min(LONGEST));
    let mut rest = text;
    while let Some(start) = ["<Error>", "<?xml"].iter().filter_map(|mark| rest.find(mark)).min() {
        kept.push_str(&rest[..start]);
        let body = &rest[start..];
        let end = body.find("</Error>").map_or(body.len(), |end| end + "</Error>".len());
        for tag in ["Code", "Message"] {
            if let Some(value) = element(&body[..end], tag) {
                kept.push_str(value);
                kept.push(' ');
            }
        }
        rest = &body[end..];
    }
    kept.push_str(rest);

    let mut clean = String::with_capacity(kept.len());
    let mut in_query = false;
    for c in kept.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        in_query = match c {
            '?' => true,
            ' ' | '"' | '\'' | ')' | '>' | ',' => false,
            _ => in_query,
        };
        if !in_query {
            clean.push(c);
        }
    }
    if clean.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
        clean.truncate(cut);
        clean.push_str("..");
    }
    clean
}

fn element<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{tag}>"))? + tag.len() + 2;
    let length = xml[start..].find(&format!("</{tag}>"))?;
    Some(&xml[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_echoes_is_not_repeated() {
        let text = "PUT http://h/b/k?X-Amz-Signature=abc&X-Amz-Credential=AKIA1 failed: <?xml version=\"1.0\"?><Error>\
                    <Code>SignatureDoesNotMatch</Code><Message>no match</Message><AWSAccessKeyId>AKIA1</AWSAccessKeyId>\
                    <StringToSign>AWS4 abc</StringToSign></Error> after 3 retries";
        let brief = brief(text);
        assert_eq!(brief, "PUT http://h/b/k failed: SignatureDoesNotMatch no match after 3 retries");
    }

    #[test]
    fn answers_of_stores_are_distinguished() {
        let of = |text: &str| {
            let source = std::io::Error::other(text.to_owned());
            StoreProblem::of(&object_store::Error::Generic { store: "S3", source: Box::new(source) })
        };
        assert_eq!(of("<Error><Code>NoSuchBucket</Code></Error>"), StoreProblem::NoBucket);
        assert!(matches!(of("InvalidAccessKeyId"), StoreProblem::Credentials { .. }));
        assert!(matches!(of("status 403 Forbidden"), StoreProblem::Denied { .. }));
        assert_eq!(of("No space left on device (os error 28)"), StoreProblem::Full);
        assert_eq!(of("Disk quota exceeded (os error 122)"), StoreProblem::Full);
        assert_eq!(of("Too many open files (os error 24)"), StoreProblem::NoHandles);
        let unknown_issuer = "error sending request: client error (Connect): invalid peer certificate: UnknownIssuer";
        assert!(matches!(of(unknown_issuer), StoreProblem::Certificate { .. }));
        assert_eq!(of("Read-only file system (os error 30)"), StoreProblem::ReadOnly);
        assert!(matches!(of("tcp connect error: Connection refused"), StoreProblem::Unreachable { .. }));
        assert!(matches!(of("something"), StoreProblem::Other { .. }));
    }

    #[test]
    fn a_table_of_a_lake_names_the_lake() {
        let text = |location: &str| LakeError::NoTable { location: location.to_owned() }.to_string();
        assert!(text("s3://b/lake/ticks").ends_with(": --table takes the lake around them, s3://b/lake"));
        assert!(text("/data/ticks2").contains("`tickhouse ingest --table /data/ticks2 ..` creates them"));
        let occupied = LakeError::Occupied { location: "/lake/signals/".to_owned(), found: "_delta_log".to_owned() };
        assert!(occupied.to_string().ends_with("--table takes the lake around the table, /lake"));
    }
}
