#!/usr/bin/env bash
# Measures brokers of its own, one up at a time, and prints one table of medians, with what is aimed for.
#
#   bench/run.sh [BIN_DIRECTORY]        default: build/release/bin
#
# RUNS=5 rounds; in each round every benchmark runs once, so that what else the machine does falls on all
# alike.
# SCALE=1 multiplies the numbers of records; PARTITIONS=10000 is what the last step creates. Exits 1 if a
# benchmark fails; a target that is missed fails nothing.
set -euo pipefail

bin=${1:-$(dirname "$0")/../build/release/bin}
runs=${RUNS:-5}
scale=${SCALE:-1}
partitions=${PARTITIONS:-10000}
work=$(mktemp -d)
broker_pid=

cleanup() {
  stop_broker || true
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  printf 'bench: %s\n' "$1" >&2
  exit 1
}

stop_broker() {
  [ -n "$broker_pid" ] || return 0
  kill "$broker_pid" 2>/dev/null || true
  wait "$broker_pid" 2>/dev/null || return 1
  broker_pid=
}

# start_broker OPTIONS: sets HEADRACE_BROKER once the broker has said that it is ready.
start_broker() {
  rm -f "$work/ready"
  mkfifo "$work/ready"
  "$bin/headrace-broker" "$@" >"$work/ready" 2>"$work/broker.log" &
  broker_pid=$!
  local line=
  read -r -t 30 line <"$work/ready" || { cat "$work/broker.log" >&2; fail "the broker did not start"; }
  local port
  port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' <<<"$line")
  [ -n "$port" ] || fail "no port in: $line"
  export HEADRACE_BROKER=127.0.0.1:$port
}

# field NAME JSON: the first number of that name.
field() {
  grep -o "\"$1\":[-0-9.e+]*" <<<"$2" | head -n 1 | sed 's/.*://'
}

# section NAME JSON: what follows that name, for fields that stand in several places.
section() { sed "s/.*\"$1\"://" <<<"$2"; }

# note KEY VALUE: one measurement of this round.
note() { printf '%s\n' "$2" >>"$work/$1"; }

# median KEY
median() {
  sort -g "$work/$1" | awk '{ v[NR] = $1 }
    END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# seconds_of COMMAND...: how long it takes; it runs in this shell.
seconds_of() {
  local before=$EPOCHREALTIME
  "$@" >/dev/null
  elapsed=$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')
}

resident_bytes() { field resident_bytes "$("$bin/headrace" --json stats)"; }

run() { "$bin/headrace" --json bench "$@" || fail "headrace bench $* failed"; }

round() {
  start_broker --ephemeral
  note idle_bytes "$(resident_bytes)"
  measure_records
  stop_broker || fail "the broker did not end well"
  measure_partitions
}

measure_records() {
  local out
  out=$(run produce --durability written --records $((3000000 * scale)) --size 100)
  note produce_written "$(field records_per_second "$out")"
  out=$(run produce --durability durable --records $((2000000 * scale)) --size 100)
  note produce_durable "$(field records_per_second "$out")"
  out=$(run produce --durability durable --records $((500000 * scale)) --size 100 --rate 100000)
  note durable_p50 "$(field p50_ns "$(section acknowledged "$out")")"
  note durable_p99 "$(field p99_ns "$(section acknowledged "$out")")"
  out=$(run produce --durability durable --records $((5000000 * scale)) --size 100 --rate 1000000)
  note million_rate "$(field records_per_second "$out")"
  note million_p50 "$(field p50_ns "$(section acknowledged "$out")")"
  note million_p99 "$(field p99_ns "$(section acknowledged "$out")")"
  out=$(run latency --one-at-a-time --records $((3000 * scale)))
  note single_p50 "$(field p50_ns "$(section acknowledged "$out")")"
  note single_p99 "$(field p99_ns "$(section acknowledged "$out")")"
  out=$(run consume --records $((5000000 * scale)) --size 100)
  note consume_small "$(field records_per_second "$out")"
  out=$("$bin/sendfile_floor" $((512 * scale)) 1024 1024 3) || fail "sendfile_floor failed"
  note floor_bytes "$(field bytes_per_second "$out")"
  out=$(run consume --records $((524288 * scale)) --size 1024)
  note consume_bytes "$(field bytes_per_second "$out")"
}

# One topic of many partitions: made, and found again by a broker that was stopped and is started anew.
measure_partitions() {
  local data=$work/partitions
  start_broker --data "$data" --ready-json --set port=0
  seconds_of "$bin/headrace" topic create many --partitions "$partitions" || fail "the topic was not created"
  note partitions_create "$elapsed"
  note partitions_bytes "$(resident_bytes)"
  stop_broker || fail "the broker with $partitions partitions did not end well"
  seconds_of start_broker --data "$data" --ready-json --set port=0
  note partitions_restart "$elapsed"
  note partitions_restart_bytes "$(resident_bytes)"
  stop_broker || fail "the broker with $partitions partitions did not end well"
  rm -rf "$data"
}

# row WHAT RESULT UNIT [TARGET]
row() { printf '  %-46s %8s  %8s  %s\n' "$1" "$2" "${4-}" "$3"; }
# scaled KEY UNIT DIGITS: the median in that unit.
scaled() {
  awk -v v="$(median "$1")" -v by="$2" -v digits="$3" 'BEGIN { printf "%.*f", digits, v / by }'
}

report() {
  local floor consumed
  floor=$(median floor_bytes)
  consumed=$(median consume_bytes)
  printf 'medians of %s rounds; %s cores shared by broker and client; kernel %s\n' \
    "$runs" "$(nproc)" "$(uname -r)"
  printf 'one connection, one partition, batches of at most 1 MiB, 5 requests in flight, no compression\n'
  row "" result unit target
  row "produce, 100 B, written (page cache)" "$(scaled produce_written 1e6 2)" "million records/s" ">= 2"
  row "produce, 100 B, durable (group commit)" "$(scaled produce_durable 1e6 2)" "million records/s" ">= 1"
  row "durable at 100,000 records/s: p50" "$(scaled durable_p50 1e3 0)" "µs from due to acknowledged"
  row "durable at 100,000 records/s: p99" "$(scaled durable_p99 1e3 0)" "µs from due to acknowledged"
  row "durable at 1,000,000 records/s: reached" "$(scaled million_rate 1e6 2)" "million records/s" ">= 1"
  row "durable at 1,000,000 records/s: p50" "$(scaled million_p50 1e3 0)" "µs from due to acknowledged"
  row "durable at 1,000,000 records/s: p99" "$(scaled million_p99 1e3 0)" "µs from due to acknowledged" \
    "< 4000"
  row "durable, one record at a time: p50" "$(scaled single_p50 1e3 0)" "µs" "<= 300"
  row "durable, one record at a time: p99" "$(scaled single_p99 1e3 0)" "µs"
  row "consume, 100 B" "$(scaled consume_small 1e6 2)" "million records/s" ">= 10"
  row "consume, 1 KiB, streamed" "$(scaled consume_bytes 1048576 0)" "MiB/s"
  row "bare sendfile loop, same work in the receiver" "$(scaled floor_bytes 1048576 0)" "MiB/s"
  row "streamed consume of the bare loop" "$(awk -v a="$consumed" -v b="$floor" \
    'BEGIN { printf "%.0f", 100 * a / b }')" "%" ">= 90"
  row "idle broker: memory" "$(scaled idle_bytes 1048576 1)" "MiB resident" "<= 12"
  row "$partitions partitions: create" "$(scaled partitions_create 1 2)" "s"
  row "$partitions partitions: memory, created" "$(scaled partitions_bytes 1e6 1)" "MB resident" "<= 100"
  row "$partitions partitions: clean restart" "$(scaled partitions_restart 1 2)" "s" "<= 1"
  row "$partitions partitions: memory, restarted" "$(scaled partitions_restart_bytes 1e6 1)" "MB resident" \
    "<= 100"
}

for ((i = 1; i <= runs; i++)); do
  printf 'bench: round %d of %d\n' "$i" "$runs" >&2
  round
done
report
