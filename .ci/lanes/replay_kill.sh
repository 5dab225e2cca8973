#!/usr/bin/env bash
# A replay of 10,000 dead letters, killed 12 times beside a running ingest, into the S3 server; and a replay of a file of
# 200,000 rows into a topic, killed 8 times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh)
binary=${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}
"$python" tests/check/replay_resume.py ${SEED:+--seed "$SEED"} --binary "$binary"
"$python" tests/check/replay_kill.py --kills "${KILLS:-12}" --store "${STORE:-s3}" ${SEED:+--seed "$SEED"} --binary "$binary"
