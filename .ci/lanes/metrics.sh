#!/usr/bin/env bash
# Health and numbers of an ingest with real Kafka and S3, scraped while it runs; the alert rules by their own tests; the
# metrics that alerts, dashboard and docs name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane

# The package holds a server that would start by itself: only the tool is taken out of it.
promtool=${PROMTOOL:-$(command -v promtool || true)}
if [[ -z $promtool ]] && command -v apt-get >/dev/null; then
  (
    cd "$work"
    [[ $EUID -ne 0 ]] || apt-get -qq update
    apt-get -qq download prometheus
    dpkg-deb --extract prometheus_*.deb prometheus
  ) >"$work/apt.log" 2>&1 || cat "$work/apt.log" >&2
  promtool=$work/prometheus/usr/bin/promtool
fi
[[ -x $promtool ]] || die "promtool is missing: install it (Debian: apt-get install prometheus), or name it in PROMTOOL"

(cd infra/prometheus && "$promtool" check rules alerts.yml && "$promtool" test rules alerts_test.yml)
"$python" tests/check/metrics_run.py --tickhouse "$binary" --promtool "$promtool" --folder "$work"
