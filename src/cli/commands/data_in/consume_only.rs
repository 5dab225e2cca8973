//! `tickhouse consume-only`: reads a topic like `ingest` and discards the messages, as the baseline of the benchmark.

use std::process::ExitCode;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::cli::commands::print::print;
use crate::cli::settings::{Settings, SettingsError};
use crate::kafka::{ReadProgress, TopicReader};
use crate::lake::RetryPolicy;

/// Runs the command.
///
/// # Errors
/// The topic can't be read.
pub(in crate::cli::commands) fn run(settings: &Settings, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    settings.kafka.validate().map_err(SettingsError::from)?;
    let mut reader = TopicReader::open(&settings.kafka, RetryPolicy::ONE_SHOT)?;
    let starts: Vec<(i32, i64)> = reader.partitions().iter().map(|at| (at.partition, at.low)).collect();
    let started = Instant::now();
    reader.start(&starts)?;
    let (mut messages, mut bytes) = (0u64, 0u64);
    let mut progress = ReadProgress::More;
    while progress == ReadProgress::More && !stop.is_cancelled() {
        let count = |record: &crate::kafka::KafkaRecord<'_>| {
            messages += 1;
            bytes += record.payload().map_or(0, <[u8]>::len) as u64;
        };
        progress = reader.read(count)?;
    }
    print(&format!("consumed {messages} messages, {bytes} bytes in {:.3} s\n", started.elapsed().as_secs_f64()))?;
    Ok(ExitCode::SUCCESS)
}
