#!/usr/bin/env bash
# Apache Kafka 4.3.1 (one KRaft node) from Maven Central, for tests, benchmarks and people.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=4.3.1

usage() {
  cat <<'TEXT'
usage: kafka.sh start DIR | stop DIR | download | tool CLASS [ARG..]

  start DIR     start a broker whose data, log and process id live in DIR; prints BROKERS=host:port.
                A broker that runs already is left alone. A stopped one starts again with its data and port.
  stop DIR      stop it; the data stay (remove DIR to be rid of them)
  download      fetch the jars only
  tool CLASS    run one of Kafka's tools, as in: tool org.apache.kafka.tools.TopicCommand --list --bootstrap-server ..

Needs java 17 or newer, mvn for the first start, python3. Jars are kept in ${TICKHOUSE_CACHE:-target/servers}.
KAFKA_HEAP sets the heap (default 768m).
TEXT
}

libs=$cache/kafka-$version/libs

download() {
  [[ -f $libs/.complete ]] && return
  need mvn "install Maven (Debian: apt-get install maven)"
  mkdir -p "$libs"
  mvn -q -B -f "$repo/tests/servers/kafka-pom.xml" dependency:copy-dependencies "-DoutputDirectory=$libs" >&2 ||
    die "can't fetch Kafka $version from Maven Central"
  touch "$libs/.complete"
}

configure() {
  local dir=$1 client=$2 controller=$3
  cat >"$dir/broker.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.ms=-1
CONF
  cat >"$dir/log4j2.properties" <<'CONF'
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %-5p %c - %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
CONF
}

launch() {
  local dir=$1 client=$2 id
  if [[ ! -f $dir/data/meta.properties ]]; then
    id=$(python3 -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))')
    # A leading hyphen would be read as an option.
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dlog4j2.configurationFile=$dir/log4j2.properties" \
      -cp "$libs/*" kafka.tools.StorageTool format --ignore-formatted -t "${id/#-/A}" -c "$dir/broker.properties" \
      >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "can't format $dir/data"; }
  fi
  setsid java "-Xms${KAFKA_HEAP:-768m}" "-Xmx${KAFKA_HEAP:-768m}" -XX:+UseG1GC \
    "-Dlog4j2.configurationFile=$dir/log4j2.properties" -cp "$libs/*" kafka.Kafka "$dir/broker.properties" \
    >>"$dir/kafka.log" 2>&1 </dev/null &
  echo $! >"$dir/kafka.pid"
  wait_until 60 $! port_open "$client"
}

start() {
  local dir client='' controller='' try
  need java "install a JDK, 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
  need python3 "install Python 3.11"
  dir=$(absolute_dir "$1")
  [[ -f $dir/ports ]] && read -r client controller <"$dir/ports"
  if [[ -f $dir/kafka.pid ]] && is_ours "$(<"$dir/kafka.pid")" "$dir/broker.properties" && port_open "$client"; then
    echo "BROKERS=127.0.0.1:$client"
    return
  fi
  download
  for try in 1 2 3; do
    if [[ -z $client || $try -gt 1 ]] || port_open "$client"; then
      read -r client controller < <(free_ports 2)
    fi
    configure "$dir" "$client" "$controller"
    if launch "$dir" "$client"; then
      echo "$client $controller" >"$dir/ports"
      echo "BROKERS=127.0.0.1:$client"
      return
    fi
    stop_process "$dir/kafka.pid" "$dir/broker.properties"
  done
  tail -n 20 "$dir/kafka.log" >&2
  die "Kafka did not open its port within 60 s, three times; its log is $dir/kafka.log"
}

case ${1:-} in
  start) [[ $# -eq 2 ]] || { usage >&2; exit 2; }; start "$2" ;;
  stop)
    [[ $# -eq 2 ]] || { usage >&2; exit 2; }
    [[ -d $2 ]] || exit 0
    dir=$(absolute_dir "$2")
    stop_process "$dir/kafka.pid" "$dir/broker.properties"
    ;;
  download) download ;;
  tool)
    shift
    [[ $# -ge 1 ]] || { usage >&2; exit 2; }
    need java "install a JDK, 17 or newer"
    download
    exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$libs/*" "$@"
    ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
