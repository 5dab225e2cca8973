#!/usr/bin/env bash
# Reads ROOT/ticks with Spark 4.2 and Delta 4.4; prints what readers.py prints, or the one row of SQL, as a line of JSON.
# With - in place of SQL, each line of stdin is a statement as JSON and is answered by a line with its rows.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../servers/lib.sh
source "$here/../servers/lib.sh"

if [[ $# -lt 1 || $# -gt 2 || ${1:-} == -h || ${1:-} == --help ]]; then
  echo "usage: read_spark.sh ROOT [SQL | -]    (a local folder; needs Java 17, mvn and python3; 1.1 GB of memory)"
  [[ ${1:-} == -h || ${1:-} == --help ]] && exit 0
  exit 2
fi
need java "install a JDK, 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
jars=$cache/delta-spark-4.4.0
if [[ ! -f $jars/.complete ]]; then
  need mvn "install Maven (Debian: apt-get install maven)"
  mkdir -p "$jars"
  mvn -q -B -f "$here/spark-pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" >&2 ||
    die "can't fetch Delta for Spark from Maven Central"
  touch "$jars/.complete"
fi
python=$("$here/../servers/python.sh" "$here/requirements-spark.txt")
list=$(printf '%s,' "$jars"/delta-*.jar "$jars"/unitycatalog-*.jar)
exec "$python" "$here/read_spark.py" "$1" "${list%,}" "${@:2}"
