#!/usr/bin/env bash
# Measures a broker of its own, started with --ephemeral, and prints one table of medians.
#
#   bench/run.sh [BIN_DIRECTORY]        default: build/release/bin
#
# RUNS=5 rounds; in each round every benchmark runs once, so that what else the machine does falls on all
# alike.
# SCALE=1 multiplies the numbers of records. Exits 1 if a benchmark fails.
set -euo pipefail

bin=${1:-$(dirname "$0")/../build/release/bin}
runs=${RUNS:-5}
scale=${SCALE:-1}
work=$(mktemp -d)
broker_pid=

cleanup() {
  if [ -n "$broker_pid" ] && kill "$broker_pid" 2>/dev/null; then wait "$broker_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  printf 'bench: %s\n' "$1" >&2
  exit 1
}

# start_broker: sets HEADRACE_BROKER once the broker has said that it is ready.
start_broker() {
  mkfifo "$work/ready"
  "$bin/headrace-broker" --ephemeral >"$work/ready" 2>"$work/broker.log" &
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

run() { "$bin/headrace" --json bench "$@" || fail "headrace bench $* failed"; }

round() {
  local out
  out=$(run produce --durability written --records $((3000000 * scale)) --size 100)
  note produce_written "$(field records_per_second "$out")"
  out=$(run produce --durability durable --records $((2000000 * scale)) --size 100)
  note produce_durable "$(field records_per_second "$out")"
  out=$(run produce --durability durable --records $((500000 * scale)) --size 100 --rate 100000)
  note durable_p50 "$(field p50_ns "$(section acknowledged "$out")")"
  note durable_p99 "$(field p99_ns "$(section acknowledged "$out")")"
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

row() { printf '  %-46s %14s  %s\n' "$1" "$2" "$3"; }
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
  row "produce, 100 B, written (page cache)" "$(scaled produce_written 1e6 2)" "million records/s"
  row "produce, 100 B, durable (group commit)" "$(scaled produce_durable 1e6 2)" "million records/s"
  row "durable at 100,000 records/s: p50" "$(scaled durable_p50 1e3 0)" "µs from due to acknowledged"
  row "durable at 100,000 records/s: p99" "$(scaled durable_p99 1e3 0)" "µs from due to acknowledged"
  row "durable, one record at a time: p50" "$(scaled single_p50 1e3 0)" "µs"
  row "durable, one record at a time: p99" "$(scaled single_p99 1e3 0)" "µs"
  row "consume, 100 B" "$(scaled consume_small 1e6 2)" "million records/s"
  row "consume, 1 KiB, streamed" "$(scaled consume_bytes 1048576 0)" "MiB/s"
  row "bare sendfile loop, same work in the receiver" "$(scaled floor_bytes 1048576 0)" "MiB/s"
  row "streamed consume of the bare loop" "$(awk -v a="$consumed" -v b="$floor" \
    'BEGIN { printf "%.0f", 100 * a / b }')" "%"
}

start_broker
for ((i = 1; i <= runs; i++)); do
  printf 'bench: round %d of %d\n' "$i" "$runs" >&2
  round
done
report
