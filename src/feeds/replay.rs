//! Files as messages: CSV and Parquet become canonical ticks, lines of JSON are sent as they are.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use flate2::bufread::MultiGzDecoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::wire::write_message;
use crate::decode::Preset;
use crate::market::Tick;

const BATCH_ROWS: usize = 8_192;
const TS_NAMES: [&str; 6] = ["ts", "timestamp", "time", "datetime", "date-time", "date"];
const SYMBOL_NAMES: [&str; 4] = ["symbol", "ticker", "name", "sym"];

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("read {}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
}

/// Names of columns, where they are not the usual ones.
#[derive(Debug, Clone, Default)]
pub struct ReplayColumns {
    pub symbol: Option<String>,
    pub ts: Option<String>,
    pub close: Option<String>,
    pub volume: Option<String>,
}

/// One message: its bytes, its key and its event time, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayMessage {
    pub payload: Vec<u8>,
    pub key: Option<String>,
    pub ts: Option<i64>,
}

/// The messages of several files, one after the other, in bounded memory.
pub struct Replay {
    files: VecDeque<PathBuf>,
    columns: ReplayColumns,
    zone: Tz,
    format: Preset,
    open: Option<(PathBuf, Source)>,
}

enum Source {
    Lines(Box<dyn BufRead + Send>),
    Batches {
        batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
        ready: VecDeque<ReplayMessage>,
    },
}

impl Replay {
    /// Formats follow from the names: `.csv`, `.parquet`, else lines; each of the first two also as `.gz`.
    /// `zone` is that of times without an offset; a date alone is the midnight that begins it.
    pub fn new(files: Vec<PathBuf>, columns: ReplayColumns, zone: Tz, format: Preset) -> Self {
        Self { files: files.into(), columns, zone, format, open: None }
    }

    /// # Errors
    /// A file can't be read, or lacks a column.
    pub fn next_message(&mut self) -> Result<Option<ReplayMessage>, ReplayError> {
        loop {
            let Some((path, source)) = &mut self.open else {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                let source = open(&path).map_err(|problem| ReplayError::File { path: path.clone(), problem })?;
                self.open = Some((path, source));
                continue;
            };
            let next = match source {
                Source::Lines(lines) => next_line(lines),
                Source::Batches { batches, ready } => loop {
                    if let Some(message) = ready.pop_front() {
                        break Ok(Some(message));
                    }
                    let Some(batch) = batches.next() else { break Ok(None) };
                    let messages = batch
                        .map_err(|error| error.to_string())
                        .and_then(|batch| to_messages(&batch, &self.columns, self.zone, self.format));
                    match messages {
                        Ok(messages) => ready.extend(messages),
                        Err(problem) => break Err(problem),
                    }
                },
            };
            match next {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => self.open = None,
                Err(problem) => return Err(ReplayError::File { path: path.clone(), problem }),
            }
        }
    }
}

fn open(path: &Path) -> Result<Source, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (stem, reader): (_, Box<dyn Read + Send>) = match name.strip_suffix(".gz") {
        Some(stem) => (stem.to_owned(), Box::new(MultiGzDecoder::new(BufReader::new(file)))),
        None if name.ends_with(".parquet") => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
            let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())?;
            return Ok(Source::Batches { batches: Box::new(batches), ready: VecDeque::new() });
        }
        None => (name, Box::new(file)),
    };
    let mut reader: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 20, reader));
    if !stem.ends_with(".csv") {
        return Ok(Source::Lines(reader));
    }
    let mut header = String::new();
    reader.read_line(&mut header).map_err(|error| error.to_string())?;
    let fields: Vec<Field> =
        header.trim().split(',').map(|name| Field::new(name.trim().trim_matches('"'), DataType::Utf8, true)).collect();
    let csv = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_batch_size(BATCH_ROWS)
        .build_buffered(reader)
        .map_err(|error| error.to_string())?;
    Ok(Source::Batches { batches: Box::new(csv), ready: VecDeque::new() })
}

/// A recorder's receive time before the document is left out: `1723161256172216566 {"stream":..`.
fn next_line(lines: &mut dyn BufRead) -> Result<Option<ReplayMessage>, String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (stamp, payload) = match text.get(digits) {
            Some(b' ') if digits >= 13 => (std::str::from_utf8(&text[..digits]).ok(), text[digits..].trim_ascii()),
            _ => (None, text),
        };
        let ts = stamp.and_then(|stamp| stamp.parse::<i64>().ok()).map(|number| match digits {
            ..=13 => number * 1_000,
            14..=16 => number,
            _ => number / 1_000,
        });
        return Ok(Some(ReplayMessage { payload: payload.to_vec(), key: None, ts }));
    }
}

fn find(batch: &RecordBatch, given: Option<&String>, usual: &[&str]) -> Option<ArrayRef> {
    let schema = batch.schema();
    let at = schema.fields().iter().position(|field| match given {
        Some(name) => field.name() == name,
        None => usual.iter().any(|usual| field.name().eq_ignore_ascii_case(usual)),
    })?;
    Some(Arc::clone(batch.column(at)))
}

fn doubles(column: Option<ArrayRef>) -> Result<Option<Float64Array>, String> {
    let Some(column) = column else { return Ok(None) };
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let blank_free = match column.as_string_opt::<i32>() {
        Some(text) => {
            Arc::new(text.iter().map(|value| value.filter(|value| !value.trim().is_empty())).collect::<StringArray>())
        }
        None => column,
    };
    let numbers = arrow::compute::cast_with_options(&blank_free, &DataType::Float64, &strict);
    Ok(Some(numbers.map_err(|error| error.to_string())?.as_primitive::<Float64Type>().clone()))
}

fn times(column: &ArrayRef, zone: Tz) -> Result<TimestampMicrosecondArray, String> {
    if let Some(text) = column.as_string_opt::<i32>() {
        return text.iter().map(|text| text.map(|text| parse_time(text, zone)).transpose()).collect();
    }
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let utc = cast(column, &micros).map_err(|error| error.to_string())?;
    Ok(utc.as_primitive::<TimestampMicrosecondType>().clone())
}

/// RFC 3339, a local date and time, or a local date.
fn parse_time(text: &str, zone: Tz) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_micros());
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN)));
    let local = naive.and_then(|naive| zone.from_local_datetime(&naive).earliest());
    local
        .map(|time| time.timestamp_micros())
        .ok_or_else(|| format!("'{text}' is no time; write it as RFC 3339 or as a date"))
}

fn to_messages(
    batch: &RecordBatch,
    columns: &ReplayColumns,
    zone: Tz,
    format: Preset,
) -> Result<Vec<ReplayMessage>, String> {
    let need = |what: &str| format!("there is no column for {what}; name it with --{what}-column");
    let symbols = find(batch, columns.symbol.as_ref(), &SYMBOL_NAMES).ok_or_else(|| need("symbol"))?;
    let symbols = cast(&symbols, &DataType::Utf8).map_err(|error| error.to_string())?;
    let symbols = symbols.as_string::<i32>();
    let times = times(&find(batch, columns.ts.as_ref(), &TS_NAMES).ok_or_else(|| need("ts"))?, zone)?;
    let close =
        doubles(find(batch, columns.close.as_ref(), &["close", "price", "last"]))?.ok_or_else(|| need("close"))?;
    let open = doubles(find(batch, None, &["open"]))?;
    let high = doubles(find(batch, None, &["high"]))?;
    let low = doubles(find(batch, None, &["low"]))?;
    let volume = doubles(find(batch, columns.volume.as_ref(), &["volume", "size", "qty", "quantity"]))?;
    let optional = |column: &Option<Float64Array>, row: usize| {
        column.as_ref().and_then(|column| column.is_valid(row).then(|| column.value(row)))
    };
    let mut messages = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        if symbols.is_null(row) || times.is_null(row) || close.is_null(row) {
            return Err(format!("row {row} of a batch has no symbol, time or close"));
        }
        let tick = Tick {
            symbol: symbols.value(row),
            ts: times.value(row),
            open: optional(&open, row),
            high: optional(&high, row),
            low: optional(&low, row),
            close: close.value(row),
            volume: optional(&volume, row),
            trade_id: None,
            source: None,
        };
        let mut payload = Vec::with_capacity(160);
        write_message(format, zone, &tick, &mut payload);
        messages.push(ReplayMessage { payload, key: Some(tick.symbol.to_owned()), ts: Some(tick.ts) });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn replay(name: &str, content: &[u8], columns: ReplayColumns) -> Result<Vec<ReplayMessage>, ReplayError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut replay = Replay::new(vec![path], columns, chrono_tz::America::New_York, Preset::Canonical);
        let mut messages = Vec::new();
        while let Some(message) = replay.next_message()? {
            messages.push(message);
        }
        Ok(messages)
    }

    #[test]
    fn a_csv_of_days_becomes_ticks() {
        let csv = b"date,open,high,low,close,volume,Name\n2013-02-08,45.07,45.35,45,45.08,1824755,A\n2015-07-17,,,88.5,88.72,2056819,\"B/C\"\n";
        let messages = replay("days.csv", csv, ReplayColumns::default()).unwrap();
        let text = |at: usize| String::from_utf8(messages[at].payload.clone()).unwrap();
        assert_eq!(
            text(0),
            r#"{"symbol":"A","ts":"2013-02-08T05:00:00.000000Z","open":45.07,"high":45.35,"low":45,"close":45.08,"volume":1824755}"#
        );
        assert_eq!(
            text(1),
            r#"{"symbol":"B/C","ts":"2015-07-17T04:00:00.000000Z","low":88.5,"close":88.72,"volume":2056819}"#
        );
        assert_eq!(messages[1].key.as_deref(), Some("B/C"));
    }

    #[test]
    fn lines_are_sent_as_they_are() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"1723161256172216566 {\"stream\": 1}\n\n{\"e\":\"x\"}\nnot json\n").unwrap();
        let messages = replay("frames.gz", &gz.finish().unwrap(), ReplayColumns::default()).unwrap();
        let seen: Vec<_> = messages.iter().map(|message| (message.payload.as_slice(), message.ts)).collect();
        assert_eq!(
            seen,
            [(&b"{\"stream\": 1}"[..], Some(1_723_161_256_172_216)), (b"{\"e\":\"x\"}", None), (b"not json", None)]
        );
    }

    #[test]
    fn parquet_columns_are_taken_by_name() {
        let batch = RecordBatch::try_from_iter([
            ("sym", Arc::new(StringArray::from(vec!["A"])) as ArrayRef),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_795_185_000_000_000]).with_timezone("UTC"))),
            ("price", Arc::new(arrow::array::Float32Array::from(vec![1.5]))),
        ])
        .unwrap();
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let error = replay("x.parquet", &bytes, ReplayColumns::default()).unwrap_err().to_string();
        assert!(error.contains("--ts-column"), "{error}");
        let columns = ReplayColumns { ts: Some("at".to_owned()), ..ReplayColumns::default() };
        let messages = replay("x.parquet", &bytes, columns).unwrap();
        let text = String::from_utf8(messages[0].payload.clone()).unwrap();
        assert_eq!(text, r#"{"symbol":"A","ts":"2026-11-20T14:30:00.000000Z","close":1.5}"#);
    }

    #[test]
    fn what_can_t_be_read_is_named() {
        let error =
            replay("x.csv", b"symbol,ts,close\nA,yesterday,1\n", ReplayColumns::default()).unwrap_err().to_string();
        assert!(error.contains("x.csv") && error.contains("yesterday"), "{error}");
        let error =
            replay("x.csv", b"symbol,ts,close\nA,2020-01-01,many\n", ReplayColumns::default()).unwrap_err().to_string();
        assert!(error.contains("many"), "{error}");
    }
}
