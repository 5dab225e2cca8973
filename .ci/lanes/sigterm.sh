#!/usr/bin/env bash
# SIGTERM under load: leaves with 0 inside the grace period, and the next worker goes on where it ended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh)
"$python" tests/check/kill_loop.py --kills 0 --sigterms 5 --store local ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-target/debug/tickhouse}"
# A store that hangs must not hold up the stop.
"$python" tests/check/kill_loop.py --kills 0 --sigterms 1 --outages 2 --store s3 ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-target/debug/tickhouse}"
