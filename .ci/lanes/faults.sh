#!/usr/bin/env bash
# A part of the kinds of faults; the days take turns. The long run is by hand: docs/reliability.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/faults/run --seed "${SEED:-$(($(date +%s) / 86400))}" --faults 24 --minutes 2.5 \
  --binary "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
