#!/usr/bin/env bash
# The table of named queries and engines, of one lake that came through Kafka: see conformance.sh --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/../servers/python.sh" "$here/requirements-catalog.txt")
exec "$python" "$here/conformance.py" "$@"
