#!/usr/bin/env bash
# What Kafka's own load programs get from Headrace and from Apache Kafka: the same clients, the same records,
# one broker up at a time, alternately, each round on fresh data. Prints medians: MB/s, broker CPU seconds per
# GiB moved, and the broker's resident memory at its highest.
#
#   bench/kafka_clients.sh [BIN_DIRECTORY]      default: build/release/bin
#
# Brokers: kafka (which answers from the page cache), headrace-written (the same promise) and headrace-durable
# (the default: on disk before the answer). RUNS=3 rounds, SCALE=1 multiplies the records. Exit 1 if a
# step failed. bench/README.md says how to read it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${1:-$root/build/release/bin}
runs=${RUNS:-3}
scale=${SCALE:-1}
readonly root bin runs scale
readonly kafka=$root/tests/clients/kafka.sh
readonly brokers=(kafka headrace-written headrace-durable)
readonly steps=(rdkafka-produce rdkafka-consume kafka-produce kafka-consume)
readonly small_count=$((2000000 * scale)) small_size=100 large_count=$((400000 * scale)) large_size=1000
work=$(mktemp -d "${TMPDIR:-/tmp}/headrace-bench.XXXXXXXX")
readonly work
pid=''
address=''
failures=0
export KAFKA_TIER=4 # the load programs run long enough for the better compiler

fail() {
  printf 'bench: %s\n' "$*" >&2
  exit 1
}

stop_broker() {
  [ -n "$pid" ] || return 0
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  pid=''
  rm -rf -- "$work/data"
}

clean_up() {
  stop_broker
  rm -rf -- "$work"
}

start_broker() {
  local line=''
  if [ "$1" = kafka ]; then
    address=$("$kafka" start "$work/data" 512)
    pid=$("$kafka" pid "$work/data")
    return
  fi
  rm -f -- "$work/ready"
  mkfifo "$work/ready"
  "$bin/headrace-broker" --data "$work/data" --ready-json --set port=0 --set "durability=${1#headrace-}" \
    >"$work/ready" 2>"$work/broker.log" &
  pid=$!
  read -r -t 30 line <"$work/ready" || fail "the broker did not start: $(tail -n 3 "$work/broker.log")"
  address=127.0.0.1:$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' <<<"$line")
}

# Debian has the source of this program; what that takes from inside librdkafka is in rdkafka_shim.h.
build_rdkafka_performance() {
  local example=/usr/share/doc/librdkafka-dev/examples/rdkafka_performance.c
  mkdir -p "$work/src" "$work/examples"
  if [ -f "$example" ]; then
    cp "$example" "$work/examples/"
  elif [ -f "$example.gz" ]; then
    zcat "$example.gz" >"$work/examples/rdkafka_performance.c"
  else
    fail "no $example here; broker/install.sh clients"
  fi
  : >"$work/src/rd.h"
  : >"$work/examples/rd.h"
  : >"$work/examples/rdtime.h"
  gcc -O2 -w -include "$root/bench/rdkafka_shim.h" -I "$work/examples" -I /usr/include/librdkafka \
    "$work/examples/rdkafka_performance.c" -lrdkafka -o "$work/rdkafka_performance"
}

# Each step prints its MB/s, as its program reports them.
rdkafka-produce() {
  "$work/rdkafka_performance" -P -b "$address" -t small -p 0 -s $small_size -c $small_count -a -1 -u -q \
    -X linger.ms=5 2>"$work/step.log" | awk -F'|' '$2 + 0 > 0 { rate = $8 } END { print rate }'
}
rdkafka-consume() {
  "$work/rdkafka_performance" -C -b "$address" -t small -p 0 -o beginning -c $small_count -u -q \
    2>"$work/step.log" | awk -F'|' '$2 + 0 > 0 { rate = $7 } END { print rate }'
}
kafka-produce() {
  "$kafka" run org.apache.kafka.tools.ProducerPerformance --bootstrap-server "$address" --topic large \
    --num-records $large_count --record-size $large_size --throughput -1 2>"$work/step.log" |
    awk -F'[(]' '/records sent/ { split($2, words, " "); rate = words[1] * 1.048576 } END { print rate }'
}
kafka-consume() {
  "$kafka" run org.apache.kafka.tools.ConsumerPerformance --bootstrap-server "$address" --topic large \
    --num-records $large_count 2>"$work/step.log" |
    awk -F', ' 'NR == 2 { print $4 * 1.048576 }'
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }

bytes_of() {
  case "$1" in
    rdkafka-*) printf "%s\n" $((small_count * small_size)) ;;
    *) printf "%s\n" $((large_count * large_size)) ;;
  esac
}

run_round() {
  local broker=$1 step before after rate
  start_broker "$broker"
  printf 'first\n' | kcat -P -b "$address" -t small -p 0
  printf 'first\n' | kcat -P -b "$address" -t large -p 0
  for step in "${steps[@]}"; do
    before=$(cpu_ticks)
    rate=$("$step") || rate=''
    if [ -z "$rate" ]; then
      printf 'bench: %s %s failed: %s\n' "$broker" "$step" "$(tail -n 1 "$work/step.log")" >&2
      failures=$((failures + 1))
      continue
    fi
    after=$(cpu_ticks)
    printf '%s\n' "$rate" >>"$work/$broker.$step.rate"
    awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v bytes="$(bytes_of "$step")" \
      'BEGIN { printf "%.3f\n", ticks / hz / (bytes / 2 ^ 30) }' >>"$work/$broker.$step.cpu"
  done
  awk '/^VmHWM/ { printf "%.0f\n", $2 / 1024 }' "/proc/$pid/status" >>"$work/$broker.memory"
  stop_broker
}

median() { sort -g "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

main() {
  local round broker step
  "$root/broker/install.sh" clients
  "$kafka" get
  build_rdkafka_performance
  for round in $(seq "$runs"); do
    for broker in "${brokers[@]}"; do
      printf 'bench: round %s of %s: %s\n' "$round" "$runs" "$broker" >&2
      run_round "$broker"
    done
  done
  printf '| broker |'
  for step in "${steps[@]}"; do printf ' %s MB/s (CPU s/GiB) |' "$step"; done
  printf ' memory MiB |\n|---|---|---|---|---|---|\n'
  for broker in "${brokers[@]}"; do
    printf '| %s |' "$broker"
    for step in "${steps[@]}"; do
      if [ -f "$work/$broker.$step.rate" ]; then
        printf ' %.0f (%.2f) |' "$(median "$work/$broker.$step.rate")" "$(median "$work/$broker.$step.cpu")"
      else
        printf ' failed |'
      fi
    done
    printf ' %s |\n' "$(median "$work/$broker.memory")"
  done
  [ "$failures" -eq 0 ]
}

trap clean_up EXIT
main
