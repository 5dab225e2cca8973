#!/usr/bin/env bash
# The scripts themselves: shellcheck, and the checker's own tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(tests/servers/python.sh)
"$(dirname "$python")/shellcheck" -x .ci/run .ci/lanes/*.sh tests/servers/*.sh tests/check/*.sh tests/faults/run \
  tests/faults/mutants benches/*.sh
"$python" -m compileall -q tests/check tests/faults tests/limits benches
cd tests/check
"$python" -m pytest -q -p no:cacheprovider
cd ../faults
PYTHONPATH=../check "$python" -m pytest -q -p no:cacheprovider
