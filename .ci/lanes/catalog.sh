#!/usr/bin/env bash
# The named queries on tickhouse, DuckDB and ClickHouse against their definitions, computed without SQL; the crossover
# on prices that came through Kafka against pandas; the window functions against TA-Lib and exact sums. The files that
# scripts write (answers for cargo test, docs/queries.md) are up to date. Random SQL against DuckDB on the same files.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
python=$("$repo/tests/servers/python.sh" tests/check/requirements-catalog.txt)
start_server kafka.sh
"$python" tests/check/crossover_kafka.py --tickhouse "$binary" --brokers "$BROKERS"
"$python" tests/check/catalog_goldens.py --check || die "tests/sql/catalog.slt is old: run tests/check/catalog_goldens.py"
"$python" tests/check/catalog_docs.py --tickhouse "$binary" --brokers "$BROKERS" --check ||
  die "docs/queries.md is old: run tests/check/catalog_docs.py"
oracle=("$python" tests/check/catalog_oracle.py --tickhouse "$binary" --engines "duckdb,clickhouse")
"${oracle[@]}" --series empty,walks,gaps,nulls,equal_times,zero_volume,negative,flat,short,magnitudes,spikes --random 1
# Many rows are for the windows only: all queries on them would take as long as all of the above.
"${oracle[@]}" sma_crossover sma_crossover_partial moving_averages --series crossover
# Ranges show rows of the run over all ticks; all queries by hand.
"$python" tests/check/catalog_from.py sma_crossover bars daily_summary --tickhouse "$binary" --series gaps --engines duckdb
"$python" tests/check/indicator_oracle.py --tickhouse "$binary"
"$python" tests/differential/run.py --tickhouse "$binary" --statements 1000
