#!/usr/bin/env bash
# 25 times kill -9 under load, into the S3 server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh)
"$python" tests/check/kill_loop.py --kills "${KILLS:-25}" --store "${STORE:-s3}" ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-target/debug/tickhouse}"
