//! Where a lake is: a local folder or a prefix of an S3 bucket.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use url::Url;

/// Folder under the root of a lake for files that belong to no table.
pub(in crate::lake) const INTERNAL_FOLDER: &str = "_tickhouse";

/// Root of a lake. A folder is absolute, an S3 prefix has no slash at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Folder(PathBuf),
    S3 { bucket: String, prefix: String },
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocationError {
    #[error("the table location is empty: give a folder or s3://bucket/prefix")]
    Empty,
    #[error("{url} has no bucket: write s3://bucket/prefix")]
    NoBucket { url: String },
    #[error("{url} has a scheme that is not supported: give a folder or s3://bucket/prefix")]
    Scheme { url: String },
    #[error("'{text}' is no usable location: {reason}")]
    Invalid { text: String, reason: String },
}

impl Location {
    /// Parses a folder path, `file:///folder`, `s3://bucket/prefix` or `s3a://bucket/prefix`.
    ///
    /// # Errors
    /// The text is empty, has another scheme, names no bucket or is no path.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::folder(text, FilePath::new(text));
        };
        match scheme {
            "s3" | "s3a" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(LocationError::NoBucket { url: text.to_owned() });
                }
                if let Some(bad) = rest.chars().find(|c| c.is_control() || "?#%\\".contains(*c)) {
                    let reason = format!("a bucket and prefix can't hold {bad:?}");
                    return Err(LocationError::Invalid { text: text.to_owned(), reason });
                }
                let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
                if parts.iter().any(|part| matches!(*part, "." | "..")) {
                    let reason = "'.' and '..' mean nothing in a bucket".to_owned();
                    return Err(LocationError::Invalid { text: text.to_owned(), reason });
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: parts.join("/") })
            }
            "file" => {
                let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
                let path = path.ok_or_else(|| LocationError::Invalid {
                    text: text.to_owned(),
                    reason: "a file URL needs an absolute path, as in file:///folder".to_owned(),
                })?;
                Self::folder(text, &path)
            }
            _ => Err(LocationError::Scheme { url: text.to_owned() }),
        }
    }

    fn folder(text: &str, path: &FilePath) -> Result<Self, LocationError> {
        let invalid = |reason: String| LocationError::Invalid { text: text.to_owned(), reason };
        let absolute = std::path::absolute(path).map_err(|error| invalid(error.to_string()))?;
        if absolute.to_str().is_none() {
            return Err(invalid("the path is not UTF-8".to_owned()));
        }
        if absolute.to_string_lossy().contains('%') {
            // The Delta kernel decodes escapes in local paths twice, so it would look into another folder.
            return Err(invalid("a folder name can't hold '%'".to_owned()));
        }
        let mut clean = PathBuf::new();
        for part in absolute.components() {
            match part {
                std::path::Component::ParentDir => {
                    clean.pop();
                }
                other => clean.push(other),
            }
        }
        Ok(Self::Folder(clean))
    }

    /// URL of a table of this lake, with a slash at the end.
    pub fn table_url(&self, table: &str) -> Url {
        match self {
            Self::Folder(folder) => Url::from_directory_path(folder.join(table)).expect("the folder is absolute"),
            Self::S3 { bucket, prefix } => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                let text = format!("s3://{bucket}/{prefix}{slash}{table}/");
                Url::parse(&text).expect("bucket and prefix were checked when parsed")
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_folders_are_distinguished() {
        let s3 = Location::parse("s3://lake/a//b/").unwrap();
        assert_eq!(s3.to_string(), "s3://lake/a/b");
        assert_eq!(s3.table_url("ticks").as_str(), "s3://lake/a/b/ticks/");
        assert_eq!(Location::parse("s3a://lake").unwrap().table_url("ticks").as_str(), "s3://lake/ticks/");

        let folder = Location::parse("/data/a b/../c d/").unwrap();
        assert_eq!(folder, Location::Folder(PathBuf::from("/data/c d")));
        assert_eq!(folder.table_url("ticks").as_str(), "file:///data/c%20d/ticks/");
        assert_eq!(Location::parse("file:///data/x").unwrap().to_string(), "/data/x");
        assert!(matches!(Location::parse("lake").unwrap(), Location::Folder(path) if path.is_absolute()));
    }

    #[test]
    fn an_invalid_location_is_refused() {
        assert_eq!(Location::parse("  "), Err(LocationError::Empty));
        assert_eq!(Location::parse("s3:///x"), Err(LocationError::NoBucket { url: "s3:///x".to_owned() }));
        assert_eq!(Location::parse("gs://b/x"), Err(LocationError::Scheme { url: "gs://b/x".to_owned() }));
        assert!(matches!(Location::parse("s3://b/x?y"), Err(LocationError::Invalid { .. })));
        assert!(matches!(Location::parse("/data/a%20b"), Err(LocationError::Invalid { .. })));
        assert!(matches!(Location::parse("s3://b/../x"), Err(LocationError::Invalid { .. })));
    }
}
