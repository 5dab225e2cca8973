#!/usr/bin/env bash
# The benchmark of compaction: see --help. Needs java, mvn, python3 and cargo; what it downloads is kept in target/servers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/../tests/servers/python.sh")
exec "$python" "$here/maintenance.py" "$@"
