//! Where results go: standard output, or a file that appears only when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::error::ArrowError;
use tempfile::NamedTempFile;

use super::fit::TableFit;
use crate::query::error::QueryError;

/// Encoders write small pieces.
const BUFFER_BYTES: usize = 64 * 1024;

pub struct ResultOutput {
    sink: Option<Sink>,
    file: Option<(NamedTempFile, PathBuf)>,
    fit: Option<TableFit>,
    broken: Arc<AtomicBool>,
}

impl ResultOutput {
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        let broken = Arc::new(AtomicBool::new(false));
        let watched = PipeWatcher { inner: Box::new(writer), broken: Arc::clone(&broken) };
        Self { sink: Some(BufWriter::with_capacity(BUFFER_BYTES, watched)), file: None, fit: None, broken }
    }

    /// Tables are cut to `fit`.
    #[must_use]
    pub fn fitting(mut self, fit: Option<TableFit>) -> Self {
        self.fit = fit;
        self
    }

    /// Writes a temporary file next to `path` and renames it at the end. What is not a regular file, such as a pipe or
    /// a device, is written directly.
    ///
    /// # Errors
    /// The folder doesn't exist or can't be written.
    pub fn to_file(path: &Path) -> Result<Self, QueryError> {
        let named =
            |error: io::Error| QueryError::Output(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        if path.is_dir() {
            return Err(QueryError::Usage(format!("{} is a folder: name a file after -o", path.display())));
        }
        let known = path.metadata().ok();
        if known.as_ref().is_some_and(|known| !known.is_file()) {
            return Ok(Self::to(File::options().write(true).open(path).map_err(named)?));
        }
        // Of a link, what it leads to.
        let path = if known.is_some() { path.canonicalize().map_err(named)? } else { path.to_owned() };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(QueryError::Usage(format!("-o {}: there is no folder {}", path.display(), folder.display())));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tickhouse-");
        #[cfg(unix)]
        {
            // The umask restricts the permissions, as for any new file.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(named)?;
        if let Some(known) = known {
            file.as_file().set_permissions(known.permissions()).map_err(named)?;
        }
        let mut output = Self::to(file.reopen().map_err(named)?);
        output.file = Some((file, path));
        Ok(output)
    }

    pub(super) fn fit(&self) -> Option<TableFit> {
        self.fit
    }

    /// The writer, once.
    pub(super) fn sink(&mut self) -> Sink {
        self.sink.take().expect("an output is encoded once")
    }

    /// What an encoder's error means.
    pub(super) fn error(&self, error: ArrowError) -> QueryError {
        if self.broken.load(Ordering::Relaxed) {
            return QueryError::BrokenPipe;
        }
        QueryError::Output(match error {
            ArrowError::IoError(_, error) => error,
            other => io::Error::other(other),
        })
    }

    pub(super) fn finish(self) -> Result<(), QueryError> {
        let Some((file, path)) = self.file else { return Ok(()) };
        file.as_file().sync_all().map_err(QueryError::Output)?;
        file.persist(&path).map_err(|error| QueryError::Output(error.error))?;
        Ok(())
    }
}

pub(super) type Sink = BufWriter<PipeWatcher>;

/// Remembers a broken pipe, whose kind the encoders' errors lose.
pub(super) struct PipeWatcher {
    inner: Box<dyn Write + Send>,
    broken: Arc<AtomicBool>,
}

impl PipeWatcher {
    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.broken.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for PipeWatcher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.watch(result)
    }
}
