//! How data files are written.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::lake::log::schema::{SORT_ORDER, SORTED_BY};
use crate::market::date_text;

/// A new path for a data file, relative to the root of its table.
///
/// # Errors
/// The date is beyond the calendar.
pub fn new_data_path(partition_column: &str, days: i32) -> Result<String, ParquetError> {
    let date = date_text(days).ok_or_else(|| ParquetError::General(format!("date {days} out of range")))?;
    Ok(format!("{partition_column}={date}/part-{}.zstd.parquet", Uuid::new_v4()))
}

/// Rows of a row group: large enough to compress well, small enough to prune by symbol inside a file.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Encoded bytes at which a row group of large rows ends: readers and compactions keep one row group of each open file
/// in memory.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// Rows of a page, the minimum that is read for one row: the last ticks of a symbol are somewhere in a page of each
/// column.
const PAGE_ROWS: usize = 4 * 1024;

fn zstd() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).expect("1 is a zstd level");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
}

/// Writer properties of files with few rows.
pub fn zstd_properties() -> WriterProperties {
    zstd().build()
}

/// Writer properties of files of ticks, whose rows are in [`SORT_ORDER`], as the footer says.
pub fn ticks_properties() -> WriterProperties {
    let mut builder = zstd()
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new(SORTED_BY.to_owned(), SORT_ORDER.to_owned())]));
    for name in ["symbol", "source"] {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
    }
    for name in ["ts", "kafka_epoch", "kafka_partition", "kafka_offset", "kafka_index", "kafka_ts", "ingested_at"] {
        builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["symbol", "ts", "close", "kafka_offset"] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Chunk);
    }
    builder.build()
}

/// Whether the rows of a file are in [`SORT_ORDER`] according to its footer.
pub fn footer_says_sorted(footer: &ParquetMetaData) -> bool {
    let pairs = footer.file_metadata().key_value_metadata();
    let order = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == SORTED_BY)?.value.as_deref());
    order == Some(SORT_ORDER)
}
