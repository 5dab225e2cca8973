//! `tickhouse dead-letters list|show|replay`: lists, prints and replays dead letters.

mod replay;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::args::{DeadLettersArgs, DeadLettersCommand, GlobalArgs};
use crate::cli::commands::ask::query::run_text;
use crate::decode::RejectionReason;

const LIST: &str = "\
-- Dead letters by reason
-- param reason string '' Only this reason; '' for all
SELECT
  reason, kafka_epoch AS epoch, kafka_partition AS partition, COUNT(*) AS count,
  MIN(kafka_offset) AS first_offset, MAX(kafka_offset) AS last_offset,
  MIN(ingested_at) AS first_seen, MAX(ingested_at) AS last_seen, MIN(detail) AS example
FROM dead_letters
WHERE $reason = '' OR reason = $reason
GROUP BY reason, kafka_epoch, kafka_partition
ORDER BY count DESC, reason, epoch, partition";

const LIST_OPEN: &str = "\
-- Dead letters without a tick, by reason
-- param reason string '' Only this reason; '' for all
SELECT
  reason, kafka_epoch AS epoch, kafka_partition AS partition, COUNT(*) AS count,
  MIN(kafka_offset) AS first_offset, MAX(kafka_offset) AS last_offset,
  MIN(ingested_at) AS first_seen, MAX(ingested_at) AS last_seen, MIN(detail) AS example
FROM dead_letters
WHERE ($reason = '' OR reason = $reason) AND NOT EXISTS (
  SELECT 1 FROM ticks
  WHERE ticks.kafka_epoch = dead_letters.kafka_epoch AND ticks.kafka_partition = dead_letters.kafka_partition
    AND ticks.kafka_offset = dead_letters.kafka_offset)
GROUP BY reason, kafka_epoch, kafka_partition
ORDER BY count DESC, reason, epoch, partition";

const SHOW: &str = "\
-- Single dead letters
-- param reason string '' Only this reason; '' for all
-- param partition integer -1 Only this partition
-- param offset integer -1 Only this offset
-- param limit count 10 So many at most
SELECT
  kafka_epoch AS epoch, kafka_partition AS partition, kafka_offset AS offset, kafka_ts, reason, detail,
  payload_bytes, payload_sha256, key, payload, version, ingested_at
FROM dead_letters
WHERE ($reason = '' OR reason = $reason)
  AND ($partition < 0 OR kafka_partition = $partition)
  AND ($offset < 0 OR kafka_offset = $offset)
ORDER BY ingested_at DESC, kafka_partition, kafka_offset
LIMIT $limit";

/// Runs the command.
///
/// # Errors
/// The lake can't be read, or a replay fails.
pub(in crate::cli::commands) async fn run(
    global: &GlobalArgs,
    args: &DeadLettersArgs,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let param = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
    let reason = |reason: Option<RejectionReason>| param("reason", &reason.map_or("", |reason| reason.as_str()));
    let number = |name: &str, number: Option<u64>| param(name, &number.map_or(-1, i128::from));
    match &args.command {
        DeadLettersCommand::List(args) => {
            let params = [reason(args.reason)];
            let text = if args.open { LIST_OPEN } else { LIST };
            run_text(global, &args.table, text, &params, args.format, &stop).await
        }
        DeadLettersCommand::Show(args) => {
            let params = [
                reason(args.reason),
                number("partition", args.partition.map(u64::from)),
                number("offset", args.offset),
                param("limit", &args.limit),
            ];
            run_text(global, &args.table, SHOW, &params, args.format, &stop).await
        }
        DeadLettersCommand::Replay(args) => replay::run(global, args, &stop).await,
    }
}
