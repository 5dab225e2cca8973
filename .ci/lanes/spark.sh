#!/usr/bin/env bash
# Spark, DuckDB and Polars read the table beside a running ingest: same count, same sums.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
start_server kafka.sh

"$python" tests/check/producer.py --brokers "$BROKERS" --topic read --seconds 5 --expected "$work/expected.csv"
"$binary" ingest --brokers "$BROKERS" --topic read --table "$work/lake" --flush-rows 20000 --flush-interval 1s \
  >"$work/ingest.log" 2>&1 &
ingest=$!

at_the_end() {
  "$python" tests/check/checker.py --brokers "$BROKERS" --topic read --table "$work/lake" \
    --expected "$work/expected.csv" >"$work/checker.log" 2>&1
}
wait_until 60 "$ingest" at_the_end || {
  cat "$work/ingest.log" "$work/checker.log" >&2
  die "the ingest did not land the topic within 60 s"
}
"$python" tests/check/readers.py --table "$work/lake" --binary "$binary" --engines tickhouse,duckdb,polars,spark
kill -0 "$ingest" || die "the ingest ended while others were reading"
