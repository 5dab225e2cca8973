#!/usr/bin/env bash
# Produce-to-visible latency of the union, on an Apache Kafka of its own. Flags go to the benchmark (--rate, --seconds ..).
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$(mktemp -d)
trap '"$repo/tests/servers/kafka.sh" stop "$dir"; rm -rf "$dir"' EXIT
brokers=$("$repo/tests/servers/kafka.sh" start "$dir" | sed -n 's/^BROKERS=//p')
cd "$repo"
cargo bench --bench union_latency -- --brokers "$brokers" "$@"
