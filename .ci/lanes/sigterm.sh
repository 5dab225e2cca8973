#!/usr/bin/env bash
# SIGTERM under load: leaves with 0 inside the grace period, and the next worker goes on where it ended. A store that
# hangs must not hold up the stop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/faults/run --faults 8 --only sigterm --store s3 ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
