#!/usr/bin/env bash
# 25 times kill -9 under load, into the S3 server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/faults/run --faults "${KILLS:-25}" --only kill --store "${STORE:-s3}" ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
