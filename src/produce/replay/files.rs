//! Finds the input files and detects their formats.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::ReplayError;

const BUFFER_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// Comma-separated, the first line names the columns
    Csv,
    /// A message a line, sent as it is
    Lines,
    /// Lines that begin with the time of receipt in nanoseconds and a blank; the rest is sent as it is
    StampedLines,
    Parquet,
}

impl FileFormat {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        match Path::new(plain).extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" | "txt" => Some(Self::Lines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputFile {
    /// As it shows in messages.
    pub name: String,
    /// `None` is standard input.
    pub path: Option<PathBuf>,
    pub format: FileFormat,
}

impl InputFile {
    pub(super) fn failed(&self, source: std::io::Error) -> ReplayError {
        ReplayError::Io { file: self.name.clone(), source }
    }

    pub(super) fn file(&self) -> Result<Option<File>, ReplayError> {
        self.path.as_ref().map(|path| File::open(path).map_err(|source| self.failed(source))).transpose()
    }

    /// The bytes, buffered.
    pub(super) fn text(&self) -> Result<Box<dyn BufRead + Send>, ReplayError> {
        let mut reader: Box<dyn BufRead + Send> = match self.file()? {
            Some(file) => Box::new(BufReader::with_capacity(BUFFER_BYTES, file)),
            None => Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin())),
        };
        let start = reader.fill_buf().map_err(|source| self.failed(source))?;
        if start.starts_with(&ZSTD_MAGIC) {
            return Err(ReplayError::Compressed { file: self.name.clone() });
        }
        if start.starts_with(&GZIP_MAGIC) {
            return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(reader))));
        }
        Ok(reader)
    }
}

/// Expands the patterns; the files of a pattern are sorted by name.
pub(super) fn find(patterns: &[String], format: Option<FileFormat>) -> Result<Vec<InputFile>, ReplayError> {
    let mut inputs = Vec::new();
    for pattern in patterns {
        if pattern == "-" {
            let name = "standard input".to_owned();
            let format = format.ok_or_else(|| ReplayError::NoFormat { file: name.clone() })?;
            inputs.push(InputFile { name, path: None, format });
            continue;
        }
        for path in expand(pattern)? {
            let name = path.display().to_string();
            if path.is_dir() {
                return Err(ReplayError::Folder { file: name });
            }
            let compressed = path.extension().is_some_and(|end| end == "zst");
            let format = match format.or_else(|| FileFormat::of(&path)) {
                Some(format) => format,
                None if compressed => return Err(ReplayError::Compressed { file: name }),
                None => return Err(ReplayError::NoFormat { file: name }),
            };
            inputs.push(InputFile { name, path: Some(path), format });
        }
    }
    Ok(inputs)
}

/// A file of this very name comes before a pattern.
fn expand(pattern: &str) -> Result<Vec<PathBuf>, ReplayError> {
    let no_files = || ReplayError::NoFiles { pattern: pattern.to_owned() };
    let path = Path::new(pattern);
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let paths = glob::glob(pattern).map_err(|error| ReplayError::Pattern {
        pattern: pattern.to_owned(),
        column: error.pos + 1,
        problem: error.msg,
    })?;
    let mut found = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| ReplayError::Io { file: error.path().display().to_string(), source: error.into() })?;
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() { Err(no_files()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_their_formats_known() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "c.parquet", "d", "e.zst"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let names = |patterns: &[String], format| {
            find(patterns, format)
                .map(|inputs| inputs.into_iter().map(|one| (one.name, one.format)).collect::<Vec<_>>())
        };
        let found = names(&[at("c.*"), at("*.csv")], None).unwrap();
        let expected = [(at("c.parquet"), FileFormat::Parquet), (at("a.csv"), FileFormat::Csv)];
        assert_eq!(found, [&expected[..], &[(at("b.csv"), FileFormat::Csv)]].concat());
        assert_eq!(names(&[at("d")], Some(FileFormat::Lines)).unwrap(), [(at("d"), FileFormat::Lines)]);
        for (pattern, problem) in [
            (at("d"), "--file-format"),
            (at("e.zst"), "zstdcat"),
            (at("x*.csv"), "there are none"),
            (at("x.csv"), "there are none"),
            (folder.path().display().to_string(), "folder"),
            ("-".to_owned(), "--file-format"),
        ] {
            let error = names(&[pattern], None).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["2023/b.csv", "2023/a.csv", "2024/a.csv", "2024/q1/a.csv", "2024/.a.csv", "x.csv", "x[1].csv"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = |pattern: &str| {
            let paths = expand(&folder.path().join(pattern).display().to_string())?;
            let short = |path: PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
            Ok::<_, ReplayError>(paths.into_iter().map(short).collect::<Vec<_>>())
        };
        for (pattern, expected) in [
            ("202?/*.csv", &["2023/a.csv", "2023/b.csv", "2024/.a.csv", "2024/a.csv"][..]),
            ("202[0-3]/*.csv", &["2023/a.csv", "2023/b.csv"]),
            ("*/a.csv", &["2023/a.csv", "2024/a.csv"]),
            ("**/a.csv", &["2023/a.csv", "2024/a.csv", "2024/q1/a.csv"]),
            ("*", &["x.csv", "x[1].csv"]),
            ("x[1].csv", &["x[1].csv"]),
            ("x[[]*", &["x[1].csv"]),
        ] {
            assert_eq!(found(pattern).unwrap(), expected, "{pattern}");
        }
        assert!(matches!(found("X*.csv"), Err(ReplayError::NoFiles { .. })));
        assert!(matches!(found("nowhere/*.csv"), Err(ReplayError::NoFiles { .. })));
        let error = expand("a/b[.csv").unwrap_err().to_string();
        assert!(error.starts_with("find files 'a/b[.csv': at character 4: "), "{error}");
    }
}
