#!/usr/bin/env bash
# Live through real Kafka: events in the table, the topic and a webhook against an oracle; the same with live killed
# again and again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
python=$("$repo/tests/servers/python.sh")
start_server kafka.sh
"$python" tests/check/live_run.py --tickhouse "$binary" --brokers "$BROKERS"
"$python" tests/check/live_run.py --tickhouse "$binary" --brokers "$BROKERS" --kills "${KILLS:-12}" --seconds 30 --seed 2
