#!/usr/bin/env bash
# Spark, DuckDB and Polars read the tables of running ingests: one that has landed its topic (same count, same sums),
# and one that moves on (every partition without a gap or a duplicate). Then every named query on one table of real ingest,
# on tickhouse, DuckDB, ClickHouse and Spark.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
start_server kafka.sh

# ingest_in_background TOPIC: into $work/TOPIC; its process id in $ingest.
ingest_in_background() {
  "$binary" ingest --brokers "$BROKERS" --topic "$1" --table "$work/$1" --flush-rows 20000 --flush-interval 1s \
    >"$work/$1.log" 2>&1 &
  ingest=$!
}

"$python" tests/check/producer.py --brokers "$BROKERS" --topic landed --seconds 5 --expected "$work/expected.csv"
ingest_in_background landed
landed=$ingest
at_the_end() {
  "$python" tests/check/checker.py --brokers "$BROKERS" --topic landed --table "$work/landed" \
    --expected "$work/expected.csv" >"$work/checker.log" 2>&1
}
wait_until 60 "$landed" at_the_end || {
  cat "$work/landed.log" "$work/checker.log" >&2
  die "the ingest did not land the topic within 60 s"
}
"$python" tests/check/readers.py --table "$work/landed" --binary "$binary" --engines tickhouse,duckdb,polars,spark
kill -0 "$landed" || die "the ingest ended while others were reading"

"$binary" produce simulate --brokers "$BROKERS" --topic moving --partitions 4 --count 1 --rate 0
"$binary" produce simulate --brokers "$BROKERS" --topic moving --rate 5000 >"$work/produce.log" 2>&1 &
moving() {
  [[ $("$binary" query "SELECT count(*) FROM ticks" --table "$work/moving" --format csv 2>/dev/null | tail -1) -gt 10000 ]]
}
ingest_in_background moving
wait_until 60 "$ingest" moving || {
  cat "$work/moving.log" "$work/produce.log" >&2
  die "the ingest did not begin to land the moving topic within 60 s"
}
"$python" tests/check/readers.py --table "$work/moving" --binary "$binary" --engines tickhouse,spark,duckdb,polars --moving
kill -0 "$ingest" || die "the ingest ended while others were reading"

tests/check/conformance.sh --tickhouse "$binary" --brokers "$BROKERS" --engines duckdb,clickhouse,spark
