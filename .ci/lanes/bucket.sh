#!/usr/bin/env bash
# --s3-create-bucket with a build that has it: a new bucket, one that is there, rejected keys; and without it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
start_server kafka.sh
start_server s3.sh

"$binary" produce simulate --brokers "$BROKERS" --topic ticks --partitions 2 --count 1000 --rate 0
ingest() {
  "$1" ingest --brokers "$BROKERS" --topic ticks --table s3://brand-new/lake --until-latest --s3-create-bucket \
    --s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" --s3-allow-http
}
# refused BINARY TEXT: the ingest fails and says TEXT.
refused() {
  ! ingest "$1" 2>"$work/refused" || die "the ingest should have been refused"
  grep -qF -- "$2" "$work/refused" || {
    cat "$work/refused" >&2
    die "the refusal doesn't say: $2"
  }
}

# Both builds have the same name in one target folder, which spares the dependencies a second build.
with_bucket=$work/tickhouse
cargo build --locked --features bucket --bin tickhouse --message-format json-render-diagnostics >"$work/built"
cp "$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/built")" "$with_bucket"
cargo build --locked --bin tickhouse

refused "$binary" "build with --features bucket"
AWS_SECRET_ACCESS_KEY=wrong refused "$with_bucket" "check access key, secret key"
[[ ! -d $S3_OBJECTS/brand-new ]] || die "the bucket is there too early"
ingest "$with_bucket"
ingest "$with_bucket"
rows=$("$with_bucket" query "SELECT count(*) FROM ticks" --table s3://brand-new/lake --format csv \
  --s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" --s3-allow-http | tail -1)
[[ $rows -eq 1000 ]] || die "$rows rows instead of 1000"
