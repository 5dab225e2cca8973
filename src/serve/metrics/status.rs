//! `/status`: health and metrics as JSON, for people and scripts.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::process::resident_bytes;
use super::view::MetricsSnapshot;
use crate::ingest::DeadLetterShare;

fn time(micros: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The readiness, with the reasons if the ingest is not ready.
pub(super) fn readiness(moment: &MetricsSnapshot<'_>) -> Value {
    let reasons = moment.reasons();
    let listed = reasons.iter().map(|reason| json!({ "code": reason.code, "message": reason.message }));
    json!({ "ready": reasons.is_empty(), "reasons": listed.collect::<Vec<_>>() })
}

pub(super) fn status(moment: &MetricsSnapshot<'_>) -> Value {
    let MetricsSnapshot { facts, status, now, .. } = moment;
    let partitions = status.partitions.iter().map(|(number, partition)| {
        json!({
            "partition": number,
            "committed": status.next.get(number),
            "end": partition.end,
            "lag": partition.lag,
            "lag_seconds": moment.seconds_behind(*number),
        })
    });
    let last_commit = status.last_commit.map(|commit| {
        json!({
            "version": commit.version,
            "time": time(commit.at),
            "rows": commit.rows,
            "files": commit.files,
            "bytes": commit.bytes,
            "seconds": commit.elapsed.as_secs_f64(),
        })
    });
    let counts = &status.committed;
    let named = |named: Vec<(String, u64)>| -> Map<String, Value> {
        named.into_iter().map(|(name, count)| (name, json!(count))).collect()
    };
    let dead = status.dead.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
    let skipped = status.skips.iter().map(|(kind, count)| (kind.to_string(), *count)).collect();
    let coerced = status.coercions.kinds().map(|(kind, count)| (kind.to_owned(), count)).collect();
    let mut all = readiness(moment);
    all["program"] = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": time(facts.started_at),
        "uptime_seconds": (now - facts.started_at) as f64 / 1e6,
        "resident_bytes": resident_bytes(),
        "memory_limit_bytes": facts.memory_limit,
    });
    all["topic"] = json!(facts.topic);
    all["table"] = json!({
        "location": facts.table,
        "version": status.version,
        "files": status.files,
        "checkpoint": status.maintenance.checkpoint,
    });
    all["last_commit"] = json!(last_commit);
    all["freshness_seconds"] = json!(moment.freshness());
    all["lag"] = json!(status.lag);
    all["partitions"] = partitions.collect();
    all["counters"] = json!({
        "messages_read": status.read.count,
        "bytes_read": status.read.bytes,
        "rows": counts.rows,
        "stored": counts.stored_offsets,
        "dead": counts.dead,
        "skipped": counts.skipped,
        "holes": counts.holes,
        "lost": counts.lost,
        "already_applied": status.already_applied,
        "commits": status.commits,
        "fenced": status.fenced,
        "store_faults": status.lake.faults,
        "rebalances": status.rebalances,
        "dead_share": status.dead_share.map(DeadLetterShare::value),
        "dead_by_reason": named(dead),
        "skipped_by_kind": named(skipped),
        "coerced_by_kind": named(coerced),
    });
    all
}
