#!/usr/bin/env bash
# Two workers: partitions move at every kill, stop and zombie (SIGSTOP past the session, takeover, SIGCONT).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/faults/run --faults 10 --only kill,sigterm,zombie,scale --workers 2 --store s3 ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
# So few messages that nearly each is the last of its partition when the partitions move.
tests/faults/run --faults 8 --only kill-random,sigterm,zombie --workers 2 --store local --rate 40 \
  ${SEED:+--seed "$SEED"} --binary "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
