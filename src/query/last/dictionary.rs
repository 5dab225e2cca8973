//! The values of a column chunk by its dictionary page alone.

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

/// Bytes of a file from `start` on.
struct Part {
    start: u64,
    bytes: Bytes,
}

impl Part {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let skipped = start.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        let skipped = skipped.filter(|skipped| *skipped <= self.bytes.len());
        skipped.map(|skipped| self.bytes.slice(skipped..)).ok_or_else(|| out_of_page(start))
    }
}

fn out_of_page(start: u64) -> ParquetError {
    ParquetError::EOF(format!("byte {start} is not in the dictionary page"))
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Part {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        (length <= bytes.len()).then(|| bytes.slice(..length)).ok_or_else(|| out_of_page(start))
    }
}

/// All texts of the column chunk; `None` where its dictionary doesn't hold them all.
///
/// # Errors
/// The page can't be read.
pub(super) async fn texts(
    reader: &mut dyn AsyncFileReader,
    column: &ColumnChunkMetaData,
) -> Result<Option<Vec<String>>> {
    let (Some(start), true) = (column.dictionary_page_offset(), all_in_dictionary(column)) else { return Ok(None) };
    let (start, end) =
        (u64::try_from(start).unwrap_or_default(), u64::try_from(column.data_page_offset()).unwrap_or_default());
    if end <= start {
        return Ok(None);
    }
    let bytes = reader.get_bytes(start..end).await.map_err(parquet_error)?;
    let part = Arc::new(Part { start, bytes });
    let mut pages = SerializedPageReader::new(part, column, 0, None).map_err(parquet_error)?;
    match pages.get_next_page().map_err(parquet_error)? {
        Some(Page::DictionaryPage { buf, num_values, .. }) => Ok(plain_texts(buf, num_values)),
        _ => Ok(None),
    }
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
