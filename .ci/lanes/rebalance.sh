#!/usr/bin/env bash
# Two workers: partitions move at every kill, stop and zombie (SIGSTOP past the session, takeover, SIGCONT).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh)
"$python" tests/check/kill_loop.py --workers 2 --kills 4 --sigterms 2 --zombies 4 --store s3 ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-target/debug/tickhouse}"
# So few messages that nearly each is the last of its partition when the partitions move.
"$python" tests/check/kill_loop.py --workers 2 --kills 2 --sigterms 1 --zombies 5 --rate 40 ${SEED:+--seed "$SEED"} \
  --binary "${TICKHOUSE_BINARY:-target/debug/tickhouse}"
