//! Pages of a column that were read on their own, and the values of a chunk by its dictionary page alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::common::{DataFusionError, Result};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

/// Column chunks of a file that were read, or their dictionary pages, by where they start.
#[derive(Debug, Clone)]
pub(super) struct ColumnPages(Arc<BTreeMap<u64, Bytes>>);

impl ColumnPages {
    /// Reads all of them in one request.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) async fn read(reader: &mut dyn AsyncFileReader, ranges: Vec<Range<u64>>) -> Result<Self> {
        let bytes = reader.get_byte_ranges(ranges.clone()).await.map_err(parquet_error)?;
        let starts = ranges.into_iter().map(|dictionary_range| dictionary_range.start);
        Ok(Self(Arc::new(starts.zip(bytes).collect())))
    }

    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let part = self.0.range(..=start).next_back().and_then(|(from, bytes)| {
            let skipped = usize::try_from(start - from).ok()?;
            (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
        });
        part.ok_or_else(|| not_read(start))
    }
}

fn not_read(start: u64) -> ParquetError {
    ParquetError::EOF(format!("byte {start} is not in the pages that were read"))
}

impl Length for ColumnPages {
    fn len(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(start, bytes)| start + bytes.len() as u64)
    }
}

impl ChunkReader for ColumnPages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        (length <= bytes.len()).then(|| bytes.slice(..length)).ok_or_else(|| not_read(start))
    }
}

/// All texts of each column chunk; `None` where its dictionary doesn't hold them all.
///
/// # Errors
/// A page can't be read.
pub(super) async fn texts(
    reader: &mut dyn AsyncFileReader,
    columns: &[&ColumnChunkMetaData],
) -> Result<Vec<Option<Vec<String>>>> {
    let ranges: Vec<Option<Range<u64>>> = columns.iter().map(|column| dictionary_range(column)).collect();
    let parts = Arc::new(ColumnPages::read(reader, ranges.iter().flatten().cloned().collect()).await?);
    let texts = columns.iter().zip(ranges).map(|(column, dictionary_range)| {
        if dictionary_range.is_none() {
            return Ok(None);
        }
        let mut pages = SerializedPageReader::new(Arc::clone(&parts), column, 0, None).map_err(parquet_error)?;
        match pages.get_next_page().map_err(parquet_error)? {
            Some(Page::DictionaryPage { buf, num_values, .. }) => Ok(plain_texts(buf, num_values)),
            _ => Ok(None),
        }
    });
    texts.collect()
}

/// Where a dictionary page lies that holds all texts.
fn dictionary_range(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(column.dictionary_page_offset()?).ok()?;
    let end = u64::try_from(column.data_page_offset()).ok()?;
    (all_in_dictionary(column) && start < end).then_some(start..end)
}

pub(super) fn parquet_error(error: ParquetError) -> DataFusionError {
    DataFusionError::ParquetError(Box::new(error))
}

/// A writer leaves the dictionary when it grows too large.
fn all_in_dictionary(column: &ColumnChunkMetaData) -> bool {
    column.page_encoding_stats_mask().is_some_and(|data_pages| {
        data_pages.is_only(Encoding::RLE_DICTIONARY) || data_pages.is_only(Encoding::PLAIN_DICTIONARY)
    })
}

/// Texts behind their lengths.
fn plain_texts(mut bytes: Bytes, count: u32) -> Option<Vec<String>> {
    let text = |_| {
        let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
        (length <= bytes.len()).then(|| String::from_utf8(bytes.split_to(length).to_vec()).ok())?
    };
    (0..count).map(text).collect()
}
