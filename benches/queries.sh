#!/usr/bin/env bash
# The benchmark of queries: see --help. Needs python3 and cargo; what it downloads is kept in target/servers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/../tests/servers/python.sh" "$here/requirements-queries.txt")
exec "$python" "$here/queries.py" "$@"
