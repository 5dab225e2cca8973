//! `tickhouse ingest --dry-run`: the verdict of messages of the user's own topic, and the keys that they have; nothing is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use chrono::DateTime;
use tokio_util::sync::CancellationToken;

use super::print::{ReaderGone, tell};
use crate::decode::{Decoder, InputSettings, KeySurvey, Message, Verdict};
use crate::ingest::StartPolicy;
use crate::kafka::{Assigned, Progress, Reader, TopicError};
use crate::lake::RetryPolicy;
use crate::market::{ExtraColumn, TickColumns};
use crate::settings::{Settings, SettingsError};
use crate::suggest::did_you_mean;

/// Reads up to `limit` messages from the configured start.
///
/// # Errors
/// The input can't work, or the topic can't be read.
pub(super) fn run(settings: &Settings, limit: u64, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    settings.kafka.validate().map_err(SettingsError::from)?;
    let zone = settings.ingest.validate().map_err(SettingsError::Value)?;
    let extras: Vec<&str> = settings.input.columns.keys().map(String::as_str).collect();
    let mut decoder = Decoder::new(&settings.input, zone).map_err(SettingsError::from)?;
    settings.kafka.warn_of_plaintext();
    let mut reader = Reader::open(&settings.kafka, RetryPolicy::ONE_SHOT)?;
    let mut starts = Vec::new();
    for at in reader.partitions() {
        starts.push((at.partition, start(&reader, at, &settings.ingest.start, limit)?));
    }
    reader.start(&starts)?;

    let mut out = io::stdout().lock();
    let mut summary: BTreeMap<String, u64> = BTreeMap::new();
    let mut columns = decoder.columns();
    let mut keys = KeySurvey::default();
    let mut found = BTreeSet::new();
    let mut left = limit;
    let mut written = Ok(());
    let mut progress = Progress::More;
    while left > 0 && progress == Progress::More && written.is_ok() && !stop.is_cancelled() {
        progress = reader.read(|record| {
            if left == 0 || written.is_err() {
                return;
            }
            left -= 1;
            columns.truncate(0);
            let headers = record.headers();
            let message = Message {
                payload: record.payload(),
                key: record.key(),
                headers: &headers,
                offset: record.offset(),
                timestamp: record.timestamp(),
            };
            let verdict = decoder.decode(&message, &mut columns);
            message.payload.iter().for_each(|payload| keys.add(payload));
            found.extend(filled(&columns, &extras));
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
    tell(&format!("{} messages: {parts}\n", limit - left));
    let coerced: Vec<String> = decoder.coercions().kinds().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !coerced.is_empty() {
        tell(&format!("coerced in accepted messages: {}\n", coerced.join(", ")));
    }
    if !keys.is_empty() {
        tell(&format!("keys of the messages, as JSON pointers:\n{keys}"));
    }
    if !found.is_empty() {
        never_found(&settings.input, &found, &keys).iter().for_each(|line| tell(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// Fields and extra columns that some accepted row has.
fn filled<'a>(rows: &TickColumns, extras: &[&'a str]) -> Vec<&'a str> {
    let doubles = [("open", &rows.open), ("high", &rows.high), ("low", &rows.low), ("volume", &rows.volume)];
    let doubles = doubles.into_iter().filter(|(_, values)| values.iter().any(|value| !value.is_nan()));
    let texts = [("trade_id", &rows.trade_id), ("source", &rows.source)];
    let texts = texts.into_iter().filter(|(_, values)| values.valid.contains(&true));
    let has_value = |column: &ExtraColumn| match column {
        ExtraColumn::Double(values) => values.iter().any(Option::is_some),
        ExtraColumn::Bigint(values) => values.iter().any(Option::is_some),
        ExtraColumn::String(values) => values.valid.contains(&true),
        ExtraColumn::Boolean(values) => values.iter().any(Option::is_some),
    };
    let extras = extras.iter().zip(&rows.extras).filter(|(_, column)| has_value(column)).map(|(name, _)| *name);
    let always = (!rows.is_empty()).then_some("symbol");
    doubles.map(|(name, _)| name).chain(texts.map(|(name, _)| name)).chain(extras).chain(always).collect()
}

/// What no accepted message has: a name that is wrong looks like a field that is absent.
fn never_found(input: &InputSettings, found: &BTreeSet<&str>, keys: &KeySurvey) -> Vec<String> {
    let missing = input.optional_sources().filter(|(name, _)| !found.contains(name));
    missing
        .map(|(name, source)| {
            let meant = did_you_mean(&source, keys.pointers().filter(|key| !key.is_empty()));
            format!("{name} is NULL in every row: no accepted message has a value at {source}{meant}\n")
        })
        .collect()
}

/// `latest` shows the newest messages there are, as none may come for a while.
fn start(reader: &Reader, at: &Assigned, policy: &StartPolicy, limit: u64) -> Result<i64, TopicError> {
    Ok(match policy {
        StartPolicy::Latest => at.high.saturating_sub(i64::try_from(limit).unwrap_or(i64::MAX)).max(at.low),
        StartPolicy::Offsets(offsets) => offsets.get(&at.partition).copied().unwrap_or(at.low).clamp(at.low, at.high),
        StartPolicy::Earliest => at.low,
        StartPolicy::Time(millis) => reader.offset_at(at.partition, *millis)?.unwrap_or(at.high),
    })
}

/// Kind for the summary, and the line.
fn describe(verdict: &Verdict, rows: &TickColumns, extras: &[&str]) -> (String, String) {
    match verdict {
        Verdict::Ticks(count) => {
            let shown = rows.len() - count;
            let symbol = &rows.symbols[rows.symbol[shown] as usize];
            let time = DateTime::from_timestamp_micros(rows.ts[shown]).map(|ts| ts.to_rfc3339()).unwrap_or_default();
            let more = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            // The columns hold NULL as NaN.
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
        // Quoted and escaped: it comes from the message as it is.
        ExtraColumn::String(values) => values.get(row).map(|value| format!("{value:?}")),
        ExtraColumn::Boolean(values) => values[row].map(|value| value.to_string()),
    };
    value.unwrap_or_else(|| "NULL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_path_that_never_matched_is_named() {
        let input: InputSettings = serde_json::from_str(
            r#"{"symbol":"/s","ts":"/t","close":"/p","volume":"/vol","open":"/o","time_unit":"s","source":"header:Venue",
                "columns":{"bid":{"path":"/q/bit","type":"double"},"ask":{"path":"/q/ask","type":"double"}}}"#,
        )
        .unwrap();
        let payload = br#"{"s":"A","t":1700000000,"p":1,"o":2,"volume":3,"q":{"bid":1,"ask":2}}"#;
        let zone = crate::market::MarketZone::new(chrono_tz::UTC);
        let mut decoder = Decoder::new(&input, zone).unwrap();
        let mut columns = decoder.columns();
        let message = Message { payload: Some(payload), key: None, headers: &[], offset: 0, timestamp: None };
        assert_eq!(decoder.decode(&message, &mut columns), Verdict::Ticks(1));
        let found: BTreeSet<&str> = filled(&columns, &["ask", "bid"]).into_iter().collect();
        let mut keys = KeySurvey::default();
        keys.add(payload);
        assert_eq!(
            never_found(&input, &found, &keys),
            [
                "volume is NULL in every row: no accepted message has a value at /vol\n",
                "source is NULL in every row: no accepted message has a value at header:Venue\n",
                "bid is NULL in every row: no accepted message has a value at /q/bit; did you mean '/q/bid'?\n",
            ]
        );
    }
}
