//! Columns made fit for text: instants in one zone as ISO 8601, nested values as text where a format has no nesting.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono_tz::Tz;

use super::{Format, far_times};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    /// To the zone of the output; an instant without a zone is UTC.
    Zone,
    Text,
}

pub(super) struct Times {
    changes: Vec<Change>,
    schema: SchemaRef,
}

impl Times {
    pub(super) fn as_they_are(schema: &SchemaRef) -> Self {
        Self { changes: vec![Change::Nothing; schema.fields().len()], schema: Arc::clone(schema) }
    }

    pub(super) fn text(schema: &SchemaRef, zone: Tz, format: Format) -> Self {
        let mut changes = Vec::with_capacity(schema.fields().len());
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let (change, kind) = match field.data_type() {
                DataType::Timestamp(unit, _) => (Change::Zone, DataType::Timestamp(*unit, Some(zone.name().into()))),
                kind if kind.is_nested() && format == Format::Csv => (Change::Text, DataType::Utf8),
                kind => (Change::Nothing, kind.clone()),
            };
            changes.push(change);
            fields.push(Field::new(field.name(), kind, true));
        }
        Self { changes, schema: Arc::new(Schema::new(fields)) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.changes.iter().all(|change| *change == Change::Nothing) {
            return Ok(batch.clone());
        }
        let columns = batch.columns().iter().zip(&self.changes).zip(self.schema.fields());
        let columns: Result<Vec<ArrayRef>, ArrowError> = columns
            .map(|((column, change), field)| match change {
                Change::Nothing => Ok(Arc::clone(column)),
                Change::Zone => {
                    let zoned = in_zone(column, field.data_type())?;
                    Ok(far_times::as_text(&zoned)?.unwrap_or(zoned))
                }
                Change::Text => as_text(column),
            })
            .collect();
        let columns = columns?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // Far times are text in their batch; the formats go by the columns that come.
        let is_as_announced = |(column, field): (&ArrayRef, &FieldRef)| column.data_type() == field.data_type();
        let schema = match columns.iter().zip(self.schema.fields()).all(is_as_announced) {
            true => Arc::clone(&self.schema),
            false => Arc::new(Schema::new(columns.iter().zip(self.schema.fields()).map(of_column).collect::<Vec<_>>())),
        };
        RecordBatch::try_new_with_options(schema, columns, &options)
    }
}

fn of_column((column, field): (&ArrayRef, &FieldRef)) -> Field {
    Field::clone(field).with_data_type(column.data_type().clone())
}

fn in_zone(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        // A cast from no zone would take the times for local ones.
        DataType::Timestamp(unit, None) => {
            let utc = cast(column, &DataType::Timestamp(*unit, Some("UTC".into())))?;
            cast(&utc, kind)
        }
        _ => cast(column, kind),
    }
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let texts = (0..column.len())
        .map(|row| if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) });
    Ok(Arc::new(texts.collect::<Result<StringArray, ArrowError>>()?))
}
