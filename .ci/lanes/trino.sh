#!/usr/bin/env bash
# Every portable named query on a real Trino, through `query --engine trino`, against its definition; then CSV, errors
# and Ctrl-C; the same and `catalog trino` on tables of real ingest. SERIES names others than the default, but not spikes,
# of which Trino keeps a trace.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
python=$("$repo/tests/servers/python.sh" tests/check/requirements-catalog.txt)
start_server trino.sh
"$python" tests/check/engine_trino.py --tickhouse "$binary"
"$python" tests/check/catalog_oracle.py --tickhouse "$binary" --engines trino \
  --series "${SERIES:-walks,nulls,equal_times,short}" ${REPORT:+--report "$REPORT"}
tests/check/conformance.sh --tickhouse "$binary" --engines trino

start_server kafka.sh
lake="$TRINO_LAKES/it's a lake"
"$binary" produce simulate --brokers "$BROKERS" --topic ticks --partitions 4 --count 2000 --rate 0
"$binary" ingest --brokers "$BROKERS" --topic ticks --table "$lake" --until-latest --flush-rows 500
"$python" tests/check/engine_views.py --tickhouse "$binary" --table "$lake" --engines trino
