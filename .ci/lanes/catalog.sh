#!/usr/bin/env bash
# The named queries on tickhouse, DuckDB and ClickHouse against their definitions, computed without SQL.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
python=$("$repo/tests/servers/python.sh" tests/check/requirements-catalog.txt)
"$python" tests/check/catalog_oracle.py --tickhouse "$binary" --engines duckdb,clickhouse --report "$work/report.md"
