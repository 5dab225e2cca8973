//! The root of a lake as seen by an engine, which may use another URL for the same location.

use crate::lake::{Location, S3Access};

/// The root of the lake in the notation of one engine, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeRoot(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RootError {
    #[error(
        "{engine} reads lakes on S3 only: {location} is a folder; give --location s3://bucket/prefix if it is a copy \
         of one"
    )]
    OnlyS3 { engine: &'static str, location: String },
    #[error(
        "Trino sees a folder below the local.location of its catalog only: give --location local:///.. , the path of \
         the lake from there"
    )]
    TrinoFolder,
    #[error(
        "ClickHouse needs the URL of the bucket: give --s3-region, or --location \
         https://bucket.s3.REGION.amazonaws.com/.."
    )]
    NoRegion,
    #[error("--location '{0}' holds a control character")]
    ControlCharacter(String),
    #[error("--location is empty: leave it out, or give the root of the lake as the engine sees it")]
    Empty,
}

impl LakeRoot {
    /// The root that the user passed with `--location`.
    ///
    /// # Errors
    /// The text is empty, or has control characters.
    pub fn given(text: &str) -> Result<Self, RootError> {
        if text.chars().any(char::is_control) {
            return Err(RootError::ControlCharacter(text.escape_debug().to_string()));
        }
        // A root consisting only of a scheme, such as local:///, keeps its slashes.
        let trimmed = text.trim_end_matches('/');
        match trimmed {
            "" => Err(RootError::Empty),
            _ if trimmed.ends_with(':') => Ok(Self(format!("{trimmed}///"))),
            _ => Ok(Self(trimmed.to_owned())),
        }
    }

    /// `s3a://`, which is Hadoop's scheme for S3, or `file://`.
    pub fn of_spark(location: &Location) -> Self {
        match location {
            Location::Folder(folder) => Self(format!("file://{}", folder.display())),
            Location::S3 { .. } => Self(location.to_string().replacen("s3://", "s3a://", 1)),
        }
    }

    /// `s3://` or `file://`.
    pub fn for_manifest(location: &Location) -> Self {
        match location {
            Location::Folder(folder) => Self(format!("file://{}", folder.display())),
            Location::S3 { .. } => Self(location.to_string()),
        }
    }

    /// A path or an `s3://` URL.
    pub fn of_duckdb(location: &Location) -> Self {
        Self(location.to_string())
    }

    /// A path or the HTTP URL of the bucket.
    ///
    /// # Errors
    /// The region of the bucket is not known.
    pub fn of_clickhouse(location: &Location, access: &S3Access) -> Result<Self, RootError> {
        let Location::S3 { bucket, .. } = location else { return Ok(Self(location.to_string())) };
        let host = match (&access.endpoint, &access.region) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, Some(region)) => format!("https://s3.{region}.amazonaws.com"),
            (None, None) => return Err(RootError::NoRegion),
        };
        let path = location.table_url("").path().trim_end_matches('/').replace('\'', "%27");
        Ok(Self(format!("{host}/{bucket}{path}")))
    }

    /// An S3 URL.
    ///
    /// # Errors
    /// The location is a local folder, which Trino can't read.
    pub fn of_trino(location: &Location) -> Result<Self, RootError> {
        match location {
            Location::Folder(_) => Err(RootError::TrinoFolder),
            Location::S3 { .. } => Ok(Self(location.to_string())),
        }
    }

    /// An S3 URL for a service of AWS.
    ///
    /// # Errors
    /// The location is not on S3.
    pub fn of_aws(engine: &'static str, location: &Location) -> Result<Self, RootError> {
        let text = location.to_string();
        Self(text).require_s3(engine)
    }

    /// Checks that the root is on S3.
    ///
    /// # Errors
    /// The root is not on S3.
    pub fn require_s3(self, engine: &'static str) -> Result<Self, RootError> {
        if self.0.starts_with("s3://") { Ok(self) } else { Err(RootError::OnlyS3 { engine, location: self.0 }) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the root is a path instead of a URL.
    pub fn is_path(&self) -> bool {
        !self.0.contains("://")
    }

    /// The location of a table.
    pub fn table(&self, name: &str) -> String {
        let slash = if self.0.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{name}", self.0)
    }
}
