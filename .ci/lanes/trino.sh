#!/usr/bin/env bash
# Every portable named query on a real Trino, through `query --engine trino`, against its definition; then CSV, errors
# and Ctrl-C; the same on one table of real ingest. SERIES names others than the default; not spikes, of which Trino keeps a trace.
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
