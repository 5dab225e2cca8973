//! A data file for the Parquet reader that distinguishes a failing store from a damaged file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::lake::error::LakeError;

const BATCH_BYTES: u64 = 1 << 20;

/// A file whose size is known.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Name of the table for messages.
    pub(in crate::lake) location: Arc<str>,
    pub(in crate::lake) store: Arc<dyn ObjectStore>,
    pub(in crate::lake) path: Path,
    pub(in crate::lake) bytes: u64,
}

/// Rows of a file to decode at once: about 1 MiB, at most `most` rows.
pub fn batch_rows(footer: &ParquetMetaData, most: usize) -> usize {
    let rows: u64 = footer.row_groups().iter().map(|group| group.num_rows().unsigned_abs()).sum();
    let decoded = |column: &ColumnChunkMetaData| {
        let text = column.unencoded_byte_array_data_bytes().unwrap_or(0);
        column.uncompressed_size().max(text).unsigned_abs()
    };
    let bytes: u64 = footer.row_groups().iter().flat_map(|group| group.columns()).map(decoded).sum();
    let at_once = BATCH_BYTES.saturating_mul(rows) / bytes.max(1);
    usize::try_from(at_once).unwrap_or(usize::MAX).clamp(1, most)
}

/// Why a file can't be read.
#[derive(Debug)]
pub enum FileError {
    Missing,
    /// The store failed, which says nothing about the file.
    Store(LakeError),
    Damaged(String),
}

impl StoredFile {
    /// Size of the file in the store; `None` if it doesn't exist.
    ///
    /// # Errors
    /// The store doesn't answer.
    pub async fn size(&self) -> std::result::Result<Option<u64>, LakeError> {
        match self.store.head(&self.path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(LakeError::store("look for a data file", &self.location, &error)),
        }
    }

    /// What an error of the Parquet reader over this file means.
    pub fn error(&self, error: ParquetError) -> FileError {
        let ParquetError::External(inner) = &error else { return FileError::Damaged(error.to_string()) };
        match inner.downcast_ref() {
            Some(object_store::Error::NotFound { .. }) => FileError::Missing,
            Some(error) => FileError::Store(LakeError::store("read a data file", &self.location, error)),
            None => FileError::Damaged(error.to_string()),
        }
    }

    /// A footer that points beyond the end means a damaged file, not a failing store.
    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start <= range.end && range.end <= self.bytes {
            return Ok(());
        }
        let Range { start, end } = range;
        Err(ParquetError::EOF(format!("it points at bytes {start} to {end} of {}", self.bytes)))
    }
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            self.check(&range)?;
            Ok(self.store.get_range(&self.path, range).await?)
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            ranges.iter().try_for_each(|range| self.check(range))?;
            Ok(self.store.get_ranges(&self.path, &ranges).await?)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}
