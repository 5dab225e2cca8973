//! What the footer of a file says about the order of its rows.

use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

use crate::lake::footer_says_sorted;

/// Rows of a file whose order must be known before a plan relies on holding or streaming it.
pub(in crate::query) const MANY_ROWS: u64 = if cfg!(test) { 1 } else { 1_000_000 };

/// An extension of a file whose footer was read at planning.
#[derive(Debug, Clone, Copy)]
pub(in crate::query) struct SortedByFooter(pub bool);

/// # Errors
/// The footer can't be read.
pub(in crate::query) async fn says_sorted(
    readers: &dyn ParquetFileReaderFactory,
    file: &PartitionedFile,
) -> Result<SortedByFooter> {
    if let Some(known) = file.extension::<SortedByFooter>() {
        return Ok(*known);
    }
    let hint = file.metadata_size_hint;
    let mut reader = readers.create_reader(0, file.clone(), hint, &ExecutionPlanMetricsSet::new())?;
    let footer = reader.get_metadata(None).await.map_err(|error| DataFusionError::ParquetError(Box::new(error)))?;
    Ok(SortedByFooter(footer_says_sorted(&footer)))
}
