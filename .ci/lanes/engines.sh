#!/usr/bin/env bash
# What `catalog` makes, in the engines themselves, on tables of real ingests: DuckDB, ClickHouse and Spark with their
# views, Glue and Athena by moto, manifests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
python=$("$repo/tests/servers/python.sh" tests/check/requirements-engines.txt)
start_server kafka.sh
start_server s3.sh
export AWS_REGION=$S3_REGION TZ=UTC

# What every engine escapes in its own way.
folder="$work/it's a \"lake\" -- ;"
bucket="s3://$S3_BUCKET/it's a lake"
flags=(--s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" --s3-allow-http)
"$binary" produce simulate --brokers "$BROKERS" --topic ticks --partitions 4 --count 2000 --rate 0
"$binary" ingest --brokers "$BROKERS" --topic ticks --table "$folder" --until-latest --flush-rows 500
"$binary" ingest --brokers "$BROKERS" --topic ticks --table "$bucket" --until-latest --flush-rows 500 "${flags[@]}"

views=("$python" tests/check/engine_views.py --tickhouse "$binary")
"${views[@]}" --table "$folder" --engines duckdb,clickhouse,spark
"${views[@]}" --table "$bucket" --engines duckdb,clickhouse -- "${flags[@]}"

port=$(free_ports 1)
"$python" -m moto.server -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
wait_until 60 $! port_open "$port" || die "moto did not start: see $work/moto.log"
"$python" tests/check/engine_aws.py --tickhouse "$binary" --table "$bucket" --moto "http://127.0.0.1:$port" -- \
  "${flags[@]}"

"$python" tests/check/engine_manifest.py --tickhouse "$binary" --table "$folder"
