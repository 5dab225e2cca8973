//! A result as pieces of bytes that somebody asks for, one after the other.
//!
//! Nothing runs ahead: a batch is taken from the query when its bytes are wanted.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono_tz::Tz;
use futures::StreamExt;

use super::formats::OutputFormat;
use super::output::ResultOutput;
use super::write::ResultWriter;
use crate::query::error::QueryError;
use crate::query::session::query_session::ResultBatches;

/// Rows on their way into a format. The writer is gone once all of them are written.
pub struct EncodedResult {
    writer: Option<ResultWriter>,
    batches: ResultBatches,
    written: SharedBuffer,
    rows_left: usize,
}

/// Bytes that nobody has taken yet.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SharedBuffer {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl EncodedResult {
    /// At most `rows` of them.
    ///
    /// # Errors
    /// The format can't hold a column.
    pub fn new(
        schema: &SchemaRef,
        batches: ResultBatches,
        format: OutputFormat,
        zone: Tz,
        rows: usize,
    ) -> Result<Self, QueryError> {
        let written = SharedBuffer::default();
        let writer = ResultWriter::new(format, zone, ResultOutput::to(written.clone()), schema)?;
        Ok(Self { writer: Some(writer), batches, written, rows_left: rows })
    }

    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// The query fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, QueryError> {
        while let Some(writer) = &mut self.writer {
            let batch = if self.rows_left == 0 { None } else { self.batches.next().await.transpose()? };
            match batch {
                Some(batch) => {
                    let rows = batch.num_rows().min(self.rows_left);
                    self.rows_left -= rows;
                    writer.write(&batch.slice(0, rows))?;
                }
                None => {
                    if let Some(writer) = self.writer.take() {
                        writer.finish()?;
                    }
                }
            }
            let bytes = self.written.take();
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch};
    use futures::stream;

    use super::*;

    async fn encoded(format: OutputFormat, rows: usize) -> Vec<u8> {
        let column = |from: i64| Arc::new(Int64Array::from_iter_values(from..from + 3)) as _;
        let batch = |from| RecordBatch::try_from_iter([("n", column(from))]).unwrap();
        let batches = stream::iter([Ok(batch(0)), Ok(batch(3))]).boxed();
        let mut encoded = EncodedResult::new(&batch(0).schema(), batches, format, Tz::UTC, rows).unwrap();
        let mut all = Vec::new();
        while let Some(bytes) = encoded.next().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        all
    }

    #[tokio::test]
    async fn pieces_are_the_whole_and_end_at_the_limit() {
        assert_eq!(encoded(OutputFormat::Csv, 10).await, b"n\n0\n1\n2\n3\n4\n5\n");
        assert_eq!(encoded(OutputFormat::Csv, 4).await, b"n\n0\n1\n2\n3\n");
        assert_eq!(encoded(OutputFormat::Csv, 0).await, b"n\n");
        let parquet = encoded(OutputFormat::Parquet, 4).await;
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    }
}
