#!/usr/bin/env bash
# --s3-create-bucket: a new bucket, one that is there, rejected keys. And a check of the build without the feature `aws`;
# with WHOLE=1 it is linked, and says what it can't do.
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
# refused TEXT COMMAND..: it fails and says TEXT.
refused() {
  ! "${@:2}" 2>"$work/refused" || die "this should have been refused: ${*:2}"
  grep -qF -- "$1" "$work/refused" || {
    cat "$work/refused" >&2
    die "the refusal doesn't say: $1"
  }
}

if [[ ${WHOLE:-} ]]; then
  # Both builds have the same name in one target folder, which spares the dependencies a second build.
  without=$work/tickhouse
  cargo build --locked --no-default-features --bin tickhouse --message-format json-render-diagnostics >"$work/built"
  cp "$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/built")" "$without"
  cargo build --locked --bin tickhouse
  refused "build with --features aws" ingest "$without"
else
  cargo check --locked --no-default-features --bin tickhouse
fi
AWS_SECRET_ACCESS_KEY=wrong refused "check access key, secret key" ingest "$binary"
[[ ! -d $S3_OBJECTS/brand-new ]] || die "the bucket is there too early"
ingest "$binary"
ingest "$binary"
rows=$("$binary" query "SELECT count(*) FROM ticks" --table s3://brand-new/lake --format csv \
  --s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" --s3-allow-http | tail -1)
[[ $rows -eq 1000 ]] || die "$rows rows instead of 1000"
