//! `tickhouse ingest --dry-run`: prints the verdicts on messages of the topic, and the keys of the messages, without
//! writing anything.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use chrono::DateTime;
use tokio_util::sync::CancellationToken;

use crate::cli::commands::print::{ReaderGone, write_stderr};
use crate::cli::settings::{Settings, SettingsError};
use crate::decode::{Decoder, InputSettings, KeySurvey, OptionalPaths, RawMessage, Verdict};
use crate::ingest::StartPolicy;
use crate::kafka::{PartitionWatermarks, ReadProgress, TopicError, TopicReader};
use crate::lake::RetryPolicy;
use crate::market::{ExtraColumn, TickColumns};

/// Reads up to `limit` messages from the configured start.
///
/// # Errors
/// The input settings are invalid, or the topic can't be read.
pub(in crate::cli::commands) fn run(
    settings: &Settings,
    limit: u64,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    settings.kafka.validate().map_err(SettingsError::from)?;
    let zone = settings.ingest.validate().map_err(SettingsError::Value)?;
    let extras: Vec<&str> = settings.input.columns.keys().map(String::as_str).collect();
    let mut decoder = Decoder::new(&settings.input, zone).map_err(SettingsError::from)?;
    settings.kafka.warn_of_plaintext();
    let mut reader = TopicReader::open(&settings.kafka, RetryPolicy::ONE_SHOT)?;
    let mut starts = Vec::new();
    for at in reader.partitions() {
        starts.push((at.partition, start(&reader, at, &settings.ingest.start, limit)?));
    }
    reader.start(&starts)?;

    let mut out = io::stdout().lock();
    let mut summary: BTreeMap<String, u64> = BTreeMap::new();
    let mut columns = decoder.columns();
    let mut keys = KeySurvey::default();
    let mut paths = OptionalPaths::of(&settings.input);
    let mut accepted = 0;
    let mut left = limit;
    let mut written = Ok(());
    let mut progress = ReadProgress::More;
    while left > 0 && progress == ReadProgress::More && written.is_ok() && !stop.is_cancelled() {
        progress = reader.read(|record| {
            if left == 0 || written.is_err() {
                return;
            }
            left -= 1;
            columns.truncate(0);
            let headers = record.headers();
            let message = RawMessage {
                payload: record.payload(),
                key: record.key(),
                headers: &headers,
                offset: record.offset(),
                timestamp: record.timestamp(),
            };
            let verdict = decoder.decode(&message, &mut columns);
            keys.add(message.payload, message.key, headers.iter().copied());
            paths.add(&columns);
            accepted += u64::from(!columns.is_empty());
            let (kind, text) = describe(&verdict, &columns, &extras);
            *summary.entry(kind).or_default() += 1;
            written = writeln!(out, "{}\t{}\t{text}", record.partition(), record.offset());
        })?;
    }
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(ReaderGone.into()),
        written => written.context("print verdicts")?,
    }
    let parts: Vec<String> = summary.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let parts = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    write_stderr(&format!("{} messages: {parts}\n", limit - left));
    let coerced: Vec<String> = decoder.coercions().kinds().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !coerced.is_empty() {
        write_stderr(&format!("coerced in accepted messages: {}\n", coerced.join(", ")));
    }
    if !keys.is_empty() {
        write_stderr(&format!("keys of the messages, as [input] takes them:\n{keys}"));
    }
    never_there(&settings.input, &keys).iter().for_each(|line| write_stderr(&format!("{line}\n")));
    if accepted > 0 {
        paths.never_matched(accepted, &keys).iter().for_each(|path| write_stderr(&format!("{path}\n")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Required fields whose pointers or headers were missing in all messages.
fn never_there(input: &InputSettings, keys: &KeySurvey) -> Vec<String> {
    let absent = input.required_sources().filter(|(_, source)| keys.is_missing(source));
    absent.map(|(field, source)| format!("{field}: no message has {source}{}", keys.suggestion(&source))).collect()
}

/// The offset to start at. For `latest` it is before the newest messages, because no new message may arrive for a
/// while.
fn start(reader: &TopicReader, at: &PartitionWatermarks, policy: &StartPolicy, limit: u64) -> Result<i64, TopicError> {
    Ok(match policy {
        StartPolicy::Latest => at.high.saturating_sub(i64::try_from(limit).unwrap_or(i64::MAX)).max(at.low),
        StartPolicy::Offsets(offsets) => offsets.get(&at.partition).copied().unwrap_or(at.low).clamp(at.low, at.high),
        StartPolicy::Earliest => at.low,
        StartPolicy::Time(millis) => reader.offset_at(at.partition, *millis)?.unwrap_or(at.high),
    })
}

/// The kind of the verdict for the summary, and the line to print.
fn describe(verdict: &Verdict, rows: &TickColumns, extras: &[&str]) -> (String, String) {
    match verdict {
        Verdict::Ticks(count) => {
            let shown = rows.len() - count;
            let symbol = &rows.symbols[rows.symbol[shown] as usize];
            let time = DateTime::from_timestamp_micros(rows.ts[shown]).map(|ts| ts.to_rfc3339()).unwrap_or_default();
            let more = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            // These columns represent NULL as NaN.
            let volume = rows.volume[shown];
            let volume = if volume.is_nan() { "NULL".to_owned() } else { volume.to_string() };
            let extras =
                extras.iter().zip(&rows.extras).map(|(name, column)| format!(" {name}={}", text_of(column, shown)));
            let extras: String = extras.collect();
            let close = rows.close[shown];
            let texts = [("trade_id", &rows.trade_id), ("source", &rows.source)];
            let texts =
                texts.into_iter().filter_map(|(name, values)| Some(format!(" {name}={:?}", values.get(shown)?)));
            let texts: String = texts.collect();
            ("accepted".to_owned(), format!("ok\t{symbol} {time} close={close} volume={volume}{texts}{extras}{more}"))
        }
        Verdict::Dead(rejection) => {
            (format!("dead ({})", rejection.reason), format!("dead\t{}: {}", rejection.reason, rejection.detail))
        }
        Verdict::Skipped(kind) => (format!("skipped ({kind})"), format!("skip\t{kind}")),
    }
}

fn text_of(column: &ExtraColumn, row: usize) -> String {
    let value = match column {
        ExtraColumn::Double(values) => values[row].map(|value| value.to_string()),
        ExtraColumn::Bigint(values) => values[row].map(|value| value.to_string()),
        // The value comes unchanged from the message, so it is quoted and escaped.
        ExtraColumn::String(values) => values.get(row).map(|value| format!("{value:?}")),
        ExtraColumn::Boolean(values) => values[row].map(|value| value.to_string()),
    };
    value.unwrap_or_else(|| "NULL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_path_that_is_not_there_is_named_with_what_may_be_meant() {
        let input: InputSettings = serde_json::from_str(
            r#"{"symbol":"header:Venue","ts":"/data/tim","close":"/data/px","volume":"/vol","time_unit":"s"}"#,
        )
        .unwrap();
        let mut keys = KeySurvey::default();
        let headers = [("venue", Some(&b"XNAS"[..]))];
        keys.add(Some(br#"{"data":{"time":1,"px":{"last":1}}}"#), None, headers.into_iter());
        assert_eq!(
            never_there(&input, &keys),
            [
                "symbol: no message has header:Venue; did you mean 'header:venue'?",
                "ts: no message has /data/tim; did you mean '/data/time'?",
            ],
            "an object is there, and what is wrong with it is in the verdicts"
        );
    }
}
