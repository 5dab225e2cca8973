#!/usr/bin/env bash
# Athena as moto's server has it: the statement, the calls, the rows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh tests/check/requirements-aws.txt)
"$python" tests/check/engine_athena.py --tickhouse "${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-target}/debug/tickhouse}"
