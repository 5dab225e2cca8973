#!/usr/bin/env bash
# A part of the kinds of faults; the days take turns. The long run is by hand: docs/reliability.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/tickhouse-lane-XXXXXX")
trap 'rm -rf "$work"' EXIT

# Both builds have the same name in one target folder, which spares the dependencies a second build.
cargo build --locked --features faults --bin tickhouse --message-format json-render-diagnostics >"$work/built"
cp "$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/built")" "$work/tickhouse"
cargo build --locked --bin tickhouse

tests/faults/run --seed "${SEED:-$(($(date +%s) / 86400))}" --faults 24 --minutes 2.5 --binary "$work/tickhouse"
