#!/usr/bin/env bash
# The page in Chromium: over made-up data, and over a demo with candles that move within 3 s of its start. What is
# committed in ui/dist is what the sources give.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane

need node "install Node.js 20.19 or later (Debian: apt-get install nodejs npm)"
need npm "install npm"
chromium=${CHROMIUM:-$(command -v chromium || true)}
if [[ -z $chromium && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >"$work/apt.log" 2>&1 ||
    cat "$work/apt.log" >&2
  chromium=$(command -v chromium || true)
fi
[[ -n $chromium ]] || die "chromium is missing: install it (Debian: apt-get install chromium), or name it in CHROMIUM"
export CHROMIUM=$chromium

(cd ui && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build)
git diff --exit-code --stat -- ui/dist || die "ui/dist is old: commit what npm run build gives"
[[ -z $(git status --porcelain -- ui/dist) ]] || die "ui/dist has files that are not committed"

shots=${SHOTS:-$work/shots}
# How fast it is (first-paint, tasks) is measured by hand, on a release build and a machine that does nothing else.
(cd ui && node test/page.mjs --out "$shots/made-up" --only moves,url,paging,access,keyboard,hostile,faults,weight)

"$binary" demo --listen 127.0.0.1:0 --table "$work/lake" >"$work/demo.log" 2>&1 &
demo=$!
wait_until 30 "$demo" grep -q "dashboard at" "$work/demo.log" || { cat "$work/demo.log" >&2; die "the demo did not start"; }
url=$(sed -n 's/^dashboard at //p' "$work/demo.log")
(cd ui && node test/page.mjs --base "$url" --out "$shots/demo" --only moves,url,looks)
