#!/usr/bin/env bash
# What `catalog` makes, in the engines themselves, on tables of real ingests: DuckDB, ClickHouse (chdb) and Spark with
# their views, Glue and Athena by moto, manifests.
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
# Four trade dates.
"$binary" produce simulate --brokers "$BROKERS" --topic ticks --partitions 4 --count 2000 --rate 0 --interval 2m \
  --start "$(date -u -d '3 days ago' +%Y-%m-%dT%H:%M:%SZ)"
"$binary" ingest --brokers "$BROKERS" --topic ticks --table "$folder" --until-latest --flush-rows 500
"$binary" ingest --brokers "$BROKERS" --topic ticks --table "$bucket" --until-latest --flush-rows 500 "${flags[@]}"

views=("$python" tests/check/engine_views.py --tickhouse "$binary")
"${views[@]}" --table "$folder" --engines duckdb,clickhouse,spark
"${views[@]}" --table "$bucket" --engines duckdb,clickhouse -- "${flags[@]}"

# By ClickHouse's HTTP interface, with a log-in.
export CLICKHOUSE_USER=writer CLICKHOUSE_PASSWORD=secret-of-the-lane
"$python" tests/check/clickhouse_http.py >"$work/clickhouse.url" 2>"$work/clickhouse.log" &
wait_until 60 $! test -s "$work/clickhouse.url" || die "the HTTP interface did not start: see $work/clickhouse.log"
click=("$binary" catalog clickhouse --table "$bucket" "${flags[@]}" --url "$(<"$work/clickhouse.url")" --user writer)
for _ in 1 2; do
  TICKHOUSE_CLICKHOUSE_PASSWORD=$CLICKHOUSE_PASSWORD "${click[@]}"
done
rows=$(curl -sS -H "X-ClickHouse-User: writer" -H "X-ClickHouse-Key: $CLICKHOUSE_PASSWORD" \
  --data 'SELECT sum(ticks) FROM tickhouse.symbols' "$(<"$work/clickhouse.url")")
[[ $rows -eq 2000 ]] || die "ClickHouse has $rows rows instead of 2000"
code=0
"${click[@]}" 2>"$work/refused" || code=$?
grep -q "ClickHouse refuses the log-in" "$work/refused" || die "the refusal doesn't say that the log-in is"
[[ $code -eq 2 ]] || die "exit code $code instead of 2 without a password"

port=$(free_ports 1)
"$python" -m moto.server -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
wait_until 60 $! port_open "$port" || die "moto did not start: see $work/moto.log"
"$python" tests/check/engine_aws.py --tickhouse "$binary" --table "$bucket" --moto "http://127.0.0.1:$port" -- \
  "${flags[@]}"

"$python" tests/check/engine_manifest.py --tickhouse "$binary" --table "$folder"
