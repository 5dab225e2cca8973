#!/usr/bin/env bash
# Integration tests against Apache Kafka and an S3 server; then a poisoned topic into both stores, checked. A full run
# takes the tests that depend most on how brokers and stores answer; WHOLE=1 takes all that ask one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
start_server kafka.sh
start_server s3.sh

export TICKHOUSE_TEST_BROKERS=$BROKERS TICKHOUSE_TEST_S3=$S3_ENDPOINT TICKHOUSE_TEST_S3_BUCKET=$S3_BUCKET
TICKHOUSE_TEST_S3_ENDPOINT=$S3_ENDPOINT cargo test --locked --lib lake::
chosen=(groups:: ingest:: live:: loss:: poison:: resume:: start:: streams:: transactions:: union:: verify::kafka::)
[[ -z ${WHOLE:-} ]] || chosen=(--skip commands:: --skip dashboard:: --skip help:: --skip prompt:: --skip security:: --skip tidy::)
# One broker answers for all tests.
RUST_TEST_THREADS=2 cargo test --locked --test it -- "${chosen[@]}"

check() {
  "$python" tests/check/checker.py --brokers "$BROKERS" --topic checked --expected "$work/expected.csv" \
    --s3-endpoint "$S3_ENDPOINT" --table "$1"
}

"$python" tests/check/producer.py --brokers "$BROKERS" --topic checked --seconds 5 --poison 0.1 \
  --expected "$work/expected.csv"
"$binary" ingest --brokers "$BROKERS" --topic checked --table "$work/lake" --until-latest
check "$work/lake"
"$binary" ingest --brokers "$BROKERS" --topic checked --table "s3://$S3_BUCKET/checked" --until-latest \
  --s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" --s3-allow-http
check "s3://$S3_BUCKET/checked"
"$python" tests/check/readers.py --table "$work/lake" --binary "$binary" --engines tickhouse,duckdb,polars
# The objects of the S3 server are plain files: a second reader sees the same table there.
"$python" tests/check/readers.py --table "$S3_OBJECTS/$S3_BUCKET/checked" --engines duckdb,polars

# Large messages, rows and dead letters under the memory limit, in a cgroup where there can be one.
python3 tests/limits/limits.py --binary "$binary" --brokers "$BROKERS" --keep "$work/limits" --sample memory
