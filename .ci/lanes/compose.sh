#!/usr/bin/env bash
# docker-compose.yml is valid, and what its containers would run does its work on this machine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane

compose=$(command -v docker-compose || true)
if [[ -z $compose && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends docker-compose; } >"$work/apt.log" 2>&1 ||
    cat "$work/apt.log" >&2
  compose=$(command -v docker-compose || true)
fi
[[ -n $compose ]] || die "docker-compose is missing: install it (Debian: apt-get install docker-compose)"
"$compose" -f docker-compose.yml config >"$work/config.yml"
"$python" tests/check/compose_run.py "$work/config.yml" --binary "$binary" --folder "$work"
