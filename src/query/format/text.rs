//! Columns made fit for a format: distinct names for programs, dates and times as ISO 8601, nested values as text where
//! a format has no nesting.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono_tz::Tz;

use super::formats::OutputFormat;
use super::instant;

#[derive(Debug, Clone, Copy, PartialEq)]
enum ColumnChange {
    Nothing,
    Time(TimeUnit, Option<Tz>),
    Date,
    Text,
    /// Text that a spreadsheet doesn't take for a formula.
    NoFormula,
    /// The format writes the values itself, and would write the error of one that has no text as if it were one.
    Checked,
}

/// What each column becomes.
pub(super) struct ResultColumns {
    changes: Vec<ColumnChange>,
    schema: SchemaRef,
}

impl ResultColumns {
    pub(super) fn of(schema: &SchemaRef, zone: Tz, format: OutputFormat) -> Self {
        let mut names = HashSet::new();
        let mut changes = Vec::with_capacity(schema.fields().len());
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let change = change_of(field.data_type(), zone, format);
            let name = match format {
                format if format.is_for_people() => field.name().clone(),
                OutputFormat::CsvSpreadsheet => distinct(&mut names, &without_formula(field.name())),
                _ => distinct(&mut names, field.name()),
            };
            fields.push(match change {
                ColumnChange::Nothing | ColumnChange::Checked => field.as_ref().clone().with_name(name),
                ColumnChange::Time(..) | ColumnChange::Date | ColumnChange::Text | ColumnChange::NoFormula => {
                    Field::new(name, DataType::Utf8, true)
                }
            });
            changes.push(change);
        }
        Self { changes, schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns: Result<Vec<ArrayRef>, ArrowError> =
            batch.columns().iter().zip(&self.changes).map(|(column, change)| changed(column, *change)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options)
    }
}

/// The name, or one with a number behind it when another column has it: two columns of one name make a Parquet file
/// that readers refuse, and an object of JSON that loses a value.
fn distinct(taken: &mut HashSet<String>, name: &str) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_else(|| name.to_owned());
    taken.insert(free.clone());
    free
}

fn change_of(kind: &DataType, zone: Tz, format: OutputFormat) -> ColumnChange {
    if format.is_binary() || format == OutputFormat::Null {
        return ColumnChange::Nothing;
    }
    match kind {
        DataType::Timestamp(unit, of_column) => {
            ColumnChange::Time(*unit, of_column.as_deref().map(|own| shown_in(own, zone)))
        }
        DataType::Date32 | DataType::Date64 => ColumnChange::Date,
        DataType::Time32(_) | DataType::Time64(_) => ColumnChange::Text,
        kind if kind.is_nested() && format.is_csv() => ColumnChange::Text,
        kind if kind.is_nested() => ColumnChange::Checked,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if format == OutputFormat::CsvSpreadsheet => {
            ColumnChange::NoFormula
        }
        DataType::Dictionary(_, values) if values.is_string() && format == OutputFormat::CsvSpreadsheet => {
            ColumnChange::NoFormula
        }
        _ => ColumnChange::Nothing,
    }
}

/// Instants are shown in the zone of the output, and in their own where a statement says one: `ts AT TIME ZONE '..'`.
fn shown_in(own: &str, zone: Tz) -> Tz {
    match own.parse::<Tz>() {
        Ok(own) if own != Tz::UTC => own,
        _ => zone,
    }
}

fn changed(column: &ArrayRef, change: ColumnChange) -> Result<ArrayRef, ArrowError> {
    Ok(match change {
        ColumnChange::Nothing => Arc::clone(column),
        ColumnChange::Time(unit, zone) => Arc::new(instant::timestamps(column, unit, zone)),
        ColumnChange::Date => Arc::new(instant::dates(column)?),
        ColumnChange::Text => Arc::new(as_text(column)?),
        ColumnChange::NoFormula => Arc::new(without_formulas(column)?),
        ColumnChange::Checked => {
            as_text(column)?;
            Arc::clone(column)
        }
    })
}

fn as_text(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = FormatOptions::default().with_display_error(false);
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len())
        .map(|row| if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) })
        .collect()
}

fn without_formulas(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let texts = cast(column, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.map(without_formula)).collect())
}

/// A quote before what spreadsheets run as a formula.
fn without_formula(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
