#!/usr/bin/env bash
# Apache Kafka beside Headrace: a single KRaft node that the checks are first held against, and its own tools.
# Its jars come with Maven (tests/clients/java/pom.xml), once, into build/clients/java.
#   kafka.sh get                 fetches the jars if they are not there
#   kafka.sh start DIR [HEAP_MB] a fresh broker with its data in DIR, on free ports; prints host:port. Clients
#                                are told to come to KAFKA_ADVERTISED instead, if that is set
#   kafka.sh stop DIR            ends it and waits until it is gone
#   kafka.sh pid DIR
#   kafka.sh run CLASS ARGS...   one of Kafka's programs by class name, or a .java file
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly jars=${HEADRACE_CLIENTS:-$root/build/clients}/java
readonly heap_mb_default=512

fail() {
  printf 'kafka: %s\n' "$*" >&2
  exit 1
}

java_with() {
  local heap_mb=$1
  shift
  # One heap for all, and a quick start: most of these programs live for a second.
  exec java "-Xmx${heap_mb}M" -XX:+UseSerialGC -XX:TieredStopAtLevel="${KAFKA_TIER:-1}" \
    -Djava.awt.headless=true \
    "-Dlog4j2.configurationFile=$root/tests/clients/java/log4j2.yaml" -cp "$jars/*" "$@"
}

get() {
  compgen -G "$jars/kafka-clients-*.jar" >/dev/null && return 0
  command -v mvn >/dev/null || fail "no mvn here to fetch Kafka's jars with"
  local incoming=$jars.incoming
  rm -rf -- "$incoming"
  # By its whole name: by the short one Maven says that there is no such plugin where no registry answers.
  mvn -q -B -f "$root/tests/clients/java/pom.xml" -DoutputDirectory="$incoming" \
    org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies
  rm -rf -- "$jars"
  mv -- "$incoming" "$jars"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

write_config() {
  local dir=$1 port=$2 controller=$3
  cat >"$dir/server.properties" <<TEXT
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://${KAFKA_ADVERTISED:-127.0.0.1:$port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
TEXT
}

start() {
  local dir=$1 heap_mb=${2:-$heap_mb_default} port controller id
  get
  mkdir -p "$dir"
  rm -rf -- "$dir/data"
  port=$(free_port)
  controller=$(free_port)
  write_config "$dir" "$port" "$controller"
  id=$("$0" run kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
  "$0" run kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >"$dir/format.log" 2>&1 ||
    fail "cannot format: $(tail -n 3 "$dir/format.log")"
  (
    export KAFKA_TIER=4
    java_with "$heap_mb" kafka.Kafka "$dir/server.properties"
  ) >"$dir/broker.log" 2>&1 </dev/null &
  printf '%s\n' $! >"$dir/pid"
  for _ in $(seq 600); do
    # A connection is enough to know: what is asked before it is ready to serve waits until it is.
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '127.0.0.1:%s\n' "$port"
      return 0
    fi
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || fail "the broker ended: $(tail -n 3 "$dir/broker.log")"
    sleep 0.1
  done
  fail "the broker does not answer: $(tail -n 3 "$dir/broker.log")"
}

stop() {
  local pid
  [ -f "$1/pid" ] || return 0
  pid=$(cat "$1/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f -- "$1/pid"
}

case "${1:-}" in
  get) get ;;
  start) start "${@:2}" ;;
  stop) stop "$2" ;;
  pid) cat "$2/pid" ;;
  run) java_with "${KAFKA_HEAP_MB:-256}" "${@:2}" ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
