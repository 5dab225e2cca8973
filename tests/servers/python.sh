#!/usr/bin/env bash
# A Python environment with pinned packages for the checks; prints its interpreter.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${1:-} == -h || ${1:-} == --help || $# -gt 1 ]]; then
  cat <<'TEXT'
usage: python.sh [REQUIREMENTS]

Makes (once) a virtual environment with the packages of REQUIREMENTS (default tests/check/requirements.txt) and
prints the path of its python, so that: "$(tests/servers/python.sh)" tests/check/checker.py --help
Environments are kept in ${TICKHOUSE_CACHE:-target/servers}, one for each content of the file.
TEXT
  [[ $# -le 1 ]] || exit 2
  exit 0
fi

requirements=${1:-$repo/tests/check/requirements.txt}
[[ -f $requirements ]] || die "$requirements does not exist"
need python3 "install Python 3.11 or newer"
mkdir -p "$cache"
home=$cache/python-$(sha256sum "$requirements" | cut -c1-12)
# Two scripts may ask at once.
exec 9>"$home.lock"
flock 9
if [[ ! -f $home/.complete ]]; then
  rm -rf "$home"
  python3 -m venv "$home" >&2 || die "can't make a virtual environment (Debian: apt-get install python3-venv)"
  "$home/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements" >&2 ||
    die "can't install the packages of $requirements"
  touch "$home/.complete"
fi
echo "$home/bin/python"
