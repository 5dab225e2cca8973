# shellcheck shell=bash
# Shared by the scripts that start servers: cache folder, free ports, readiness, stopping by process id.
# shellcheck disable=SC2034

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "${TICKHOUSE_CACHE:-$repo/target/servers}"
cache=$(cd "${TICKHOUSE_CACHE:-$repo/target/servers}" && pwd)

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# need TOOL HINT: ends the script when a tool is missing.
need() {
  command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"
}

# free_ports N: prints N ports of the loopback that nobody listens on. None of those that outgoing connections get: one
# of these could take the port of a server that is down for a moment.
free_ports() {
  python3 - "$1" <<'PY'
import random, socket, sys
from pathlib import Path
outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
end = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32768
held = []
while len(held) < int(sys.argv[1]):
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", random.randrange(min(10000, end - 1000), end)))
        held.append(one)
    except OSError:
        one.close()
print(" ".join(str(one.getsockname()[1]) for one in held))
PY
}

port_open() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# wait_until SECONDS PID COMMAND..: polls until COMMAND succeeds; fails when PID is gone or the time is over.
wait_until() {
  local seconds=$1 pid=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@"; do
    kill -0 "$pid" 2>/dev/null || return 1
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# is_ours PID TEXT: the process lives and its command line holds TEXT (ids are used again after a reboot).
is_ours() {
  [[ -n $1 && -r /proc/$1/cmdline ]] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# stop_process PIDFILE TEXT: SIGTERM, after 10 s SIGKILL.
stop_process() {
  local pid='' end=$((SECONDS + 10))
  [[ -f $1 ]] && pid=$(<"$1")
  if is_ours "$pid" "$2"; then
    kill "$pid" 2>/dev/null || true
    while is_ours "$pid" "$2"; do
      ((SECONDS < end)) || { kill -9 "$pid" 2>/dev/null || true; }
      sleep 0.1
    done
  fi
  rm -f "$1"
}

absolute_dir() {
  mkdir -p "$1" || die "can't create $1"
  (cd "$1" && pwd)
}

# begin_lane: a working folder in $work; its servers and the jobs of this shell end with the script.
begin_lane() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/tickhouse-lane-XXXXXX")
  trap end_lane EXIT
  trap 'exit 130' INT TERM
  python=$("$repo/tests/servers/python.sh") || die "no Python environment for the checks"
  binary=${TICKHOUSE_BINARY:-${CARGO_TARGET_DIR:-$repo/target}/debug/tickhouse}
  [[ -x $binary ]] || die "$binary does not exist: run cargo build, or set TICKHOUSE_BINARY"
}

end_lane() {
  local code=$? running
  running=$(jobs -p)
  # shellcheck disable=SC2086
  [[ -z $running ]] || kill $running 2>/dev/null || true
  wait
  "$repo/tests/servers/kafka.sh" stop "$work/kafka"
  "$repo/tests/servers/s3.sh" stop "$work/s3"
  "$repo/tests/servers/s3.sh" stop "$work/s3-tls"
  "$repo/tests/servers/trino.sh" stop "$work/trino"
  if [[ $code -eq 0 ]]; then
    rm -rf "$work"
  else
    echo "logs and tables are in $work" >&2
  fi
}

# start_server kafka.sh|s3.sh|trino.sh [MORE..]: into $work; exports what it prints.
start_server() {
  local printed line
  printed=$("$repo/tests/servers/$1" start "$work/${1%.sh}" "${@:2}") || die "$1 did not start"
  while IFS= read -r line; do
    export "${line%%=*}=${line#*=}"
  done <<<"$printed"
}
