#!/usr/bin/env bash
# Apache Kafka 4.3.1 (one KRaft node) from Maven Central, for tests, benchmarks and people.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=4.3.1

usage() {
  cat <<'TEXT'
usage: kafka.sh start DIR [secure|proxied] | stop DIR | download | tool CLASS [ARG..]

  start DIR     start a broker whose data, log and process id live in DIR; prints BROKERS=host:port.
                A broker that runs already is left alone. A stopped one starts again with its data and port.
  start DIR secure
                the same with more listeners, and a user who may log in by SCRAM-SHA-256, SCRAM-SHA-512 (all of them)
                or PLAIN (SASL_BROKERS only); prints too
                SASL_BROKERS       SASL without TLS        SASL_TLS_BROKERS   SASL over TLS
                TLS_BROKERS        TLS with a client's certificate
                ELSEWHERE_BROKERS  TLS with a certificate for another host
                KAFKA_CERTIFICATES folder of what certificates.sh makes
                KAFKA_USER and KAFKA_PASSWORD_FILE
  start DIR proxied
                the same with one more listener for a proxy to stand before; prints too
                PROXY_TARGET       where the broker listens for the proxy
                PROXIED_BROKERS    where it tells clients to find it: the proxy has to listen there
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

# configure DIR CLIENT_PORT CONTROLLER_PORT [TARGET_PORT PROXY_PORT | SASL_PORT SASL_TLS_PORT TLS_PORT ELSEWHERE_PORT]
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
  [[ $# -ne 5 ]] || configure_proxied "$client" "$controller" "${@:4}" >>"$dir/broker.properties"
  [[ $# -ne 7 ]] || configure_security "$dir" "$client" "$controller" "${@:4}" >>"$dir/broker.properties"
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

configure_proxied() {
  cat <<CONF
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2,PROXIED://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$1,PROXIED://127.0.0.1:$4
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=500
CONF
}

configure_security() {
  local dir=$1 module=org.apache.kafka.common.security password listener
  password=$(<"$dir/password")
  cat <<CONF
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3,SASL://127.0.0.1:$4,SASL_TLS://127.0.0.1:$5,\
  TLS://127.0.0.1:$6,ELSEWHERE://127.0.0.1:$7
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SASL_TLS:SASL_SSL,\
  TLS:SSL,ELSEWHERE:SSL
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_tls.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_tick="$password";
listener.name.tls.ssl.client.auth=required
CONF
  for listener in sasl sasl_tls; do
    echo "listener.name.$listener.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;"
    echo "listener.name.$listener.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;"
  done
  for listener in sasl_tls tls elsewhere; do
    cat <<CONF
listener.name.$listener.ssl.keystore.type=PEM
listener.name.$listener.ssl.keystore.location=$dir/$listener.pem
listener.name.$listener.ssl.truststore.type=PEM
listener.name.$listener.ssl.truststore.location=$dir/certificates/ca.pem
CONF
  done
}

# secure DIR: certificates and a password, once.
secure() {
  local listener
  "$repo/tests/servers/certificates.sh" "$1/certificates"
  (
    umask 077
    [[ -f $1/password ]] || python3 -c 'import secrets; print(secrets.token_hex(16))' >"$1/password"
    for listener in sasl_tls:server tls:server elsewhere:elsewhere; do
      cat "$1/certificates/${listener#*:}.key" "$1/certificates/${listener#*:}.pem" >"$1/${listener%:*}.pem"
    done
  )
}

launch() {
  local dir=$1 client=$2 id scram=()
  if [[ ! -f $dir/data/meta.properties ]]; then
    id=$(python3 -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))')
    if [[ -f $dir/password ]]; then
      scram=(--add-scram "SCRAM-SHA-256=[name=tick,password=$(<"$dir/password")]"
        --add-scram "SCRAM-SHA-512=[name=tick,password=$(<"$dir/password")]")
    fi
    # A leading hyphen would be read as an option.
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dlog4j2.configurationFile=$dir/log4j2.properties" \
      -cp "$libs/*" kafka.tools.StorageTool format --ignore-formatted -t "${id/#-/A}" -c "$dir/broker.properties" \
      "${scram[@]}" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "can't format $dir/data"; }
  fi
  setsid java "-Xms${KAFKA_HEAP:-768m}" "-Xmx${KAFKA_HEAP:-768m}" -XX:+UseG1GC \
    "-Dlog4j2.configurationFile=$dir/log4j2.properties" -cp "$libs/*" kafka.Kafka "$dir/broker.properties" \
    >>"$dir/kafka.log" 2>&1 </dev/null &
  echo $! >"$dir/kafka.pid"
  wait_until 60 $! port_open "$client"
}

describe() {
  echo "BROKERS=127.0.0.1:$2"
  if [[ $# -eq 5 ]]; then
    echo "PROXY_TARGET=127.0.0.1:$4"
    echo "PROXIED_BROKERS=127.0.0.1:$5"
  fi
  [[ $# -eq 7 ]] || return 0
  cat <<TEXT
SASL_BROKERS=127.0.0.1:$4
SASL_TLS_BROKERS=127.0.0.1:$5
TLS_BROKERS=127.0.0.1:$6
ELSEWHERE_BROKERS=127.0.0.1:$7
KAFKA_CERTIFICATES=$1/certificates
KAFKA_USER=tick
KAFKA_PASSWORD_FILE=$1/password
TEXT
}

start() {
  local dir ports=() count=2 try
  need java "install a JDK, 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
  need python3 "install Python 3.11"
  dir=$(absolute_dir "$1")
  [[ -f $dir/ports ]] && read -ra ports <"$dir/ports"
  if [[ -f $dir/kafka.pid ]] && is_ours "$(<"$dir/kafka.pid")" "$dir/broker.properties" && port_open "${ports[0]}"; then
    describe "$dir" "${ports[@]}"
    return
  fi
  download
  case ${2:-} in
    secure)
      count=6
      secure "$dir"
      ;;
    proxied) count=4 ;;
  esac
  for try in 1 2 3; do
    # A broker that was there before keeps its ports however long it takes: its clients know no others.
    if [[ ${#ports[@]} -ne $count || ($try -gt 1 && ! -f $dir/ports) ]] || port_open "${ports[0]}"; then
      read -ra ports < <(free_ports "$count")
    fi
    configure "$dir" "${ports[@]}"
    if launch "$dir" "${ports[0]}"; then
      echo "${ports[*]}" >"$dir/ports"
      describe "$dir" "${ports[@]}"
      return
    fi
    stop_process "$dir/kafka.pid" "$dir/broker.properties"
  done
  tail -n 20 "$dir/kafka.log" >&2
  die "Kafka did not open its port within 60 s, three times; its log is $dir/kafka.log"
}

case ${1:-} in
  start)
    [[ $# -eq 2 || ($# -eq 3 && ($3 == secure || $3 == proxied)) ]] || { usage >&2; exit 2; }
    start "$2" "${3:-}"
    ;;
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
