//! Why a file can't be replayed.

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("find files '{pattern}': there are none; correct the name")]
    NoFiles { pattern: String },
    #[error("find files '{pattern}': at character {column}: {problem}")]
    Pattern { pattern: String, column: usize, problem: &'static str },
    #[error("read {file}: it is a folder; name its files, as in '{file}/*.csv'")]
    Folder { file: String },
    #[error(
        "read {file}: the format is not known from its name; set --file-format csv, lines, stamped-lines or parquet"
    )]
    NoFormat { file: String },
    #[error(
        "read {file}: it is compressed in a way that is not read here; decompress it first, as in: zstdcat FILE | \
         tickhouse produce replay -"
    )]
    Compressed { file: String },
    #[error("read standard input: a Parquet file can't be read in order; save it and give its name")]
    ParquetFromStdin,
    #[error("use pointer '{pointer}': a JSON pointer begins with /, as in /data/s")]
    Pointer { pointer: String },
    #[error("read {file}: {source}")]
    Io { file: String, source: std::io::Error },
    #[error("read {file}: there is no column {names}; it has {columns}{meant}; set {flags}")]
    NoColumn { file: String, names: String, columns: String, meant: String, flags: String },
    #[error("read {file}: {problem}")]
    Content { file: String, problem: String },
    #[error("read {file}, row {row}: {problem}")]
    Row { file: String, row: u64, problem: String },
}
