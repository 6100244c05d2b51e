#!/usr/bin/env bash
# A whole round trip on a real file: produce every line, consume and compare, kill the broker with SIGKILL,
# start it on the same data, consume and compare again. Exit 0 if every byte came back in its order, 1 with
# what differed if not, 2 for a wrong call. Needs bash, coreutils, grep, sed and awk; leaves nothing behind.
#   broker/demo.sh BIN_DIRECTORY [FILE]     usually called as broker/run.sh demo [FILE]
set -euo pipefail
export LC_ALL=C

readonly topic=demo
readonly partitions=3
readonly tab=$'\t'
work=''
broker_pid=''
port=''

say() { printf 'demo: %s\n' "$*"; }

show_log() { [ ! -s "$1" ] || { printf 'demo: the last lines of %s:\n' "${1##*/}" && tail -n 20 "$1"; } >&2; }

fail() {
  printf 'demo: FAILED: %s\n' "$@" >&2
  if [ -n "$work" ]; then show_log "$work/broker.log"; fi
  exit 1
}

clean_up() {
  if [ -n "$broker_pid" ]; then
    kill -KILL "$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || true
  fi
  if [ -n "$work" ]; then rm -rf -- "$work"; fi
}

microseconds() { printf '%s\n' "${EPOCHREALTIME/[.,]/}"; }

# rate COUNT UNIT MICROSECONDS: "12345 lines in 0.123 s, 100365 lines/s"
rate() {
  awk -v count="$1" -v unit="$2" -v us="$3" 'BEGIN {
    seconds = us > 0 ? us / 1e6 : 1e-6
    printf "%d %s in %.3f s, %.0f %s/s\n", count, unit, seconds, count / seconds, unit
  }'
}

# Starts the broker on the data directory and a free port, and waits for the line in which it says that it is
# ready. The line comes through a pipe, so there is nothing to poll; a broker that ends closes the pipe.
start_broker() {
  local line begun
  begun=$(microseconds)
  rm -f "$work/ready"
  mkfifo "$work/ready"
  "$bin/headrace-broker" --data "$work/data" --set port=0 --ready-json \
    >"$work/ready" 2>>"$work/broker.log" &
  broker_pid=$!
  exec 3<"$work/ready"
  while read -r -t 60 -u 3 line; do
    if [[ $line == *'"ready":true'* && $line =~ \"port\":([0-9]+) ]]; then
      port=${BASH_REMATCH[1]}
      say "broker $broker_pid listens on 127.0.0.1:$port after $((($(microseconds) - begun) / 1000)) ms"
      return 0
    fi
  done
  fail "the broker did not say that it is ready"
}

kill_broker() {
  kill -KILL "$broker_pid"
  wait "$broker_pid" 2>/dev/null || true
  broker_pid=''
  exec 3<&-
}

headrace() { "$bin/headrace" --broker "127.0.0.1:$port" "$@"; }

# Every line as "number<TAB>line"; a newline missing at the end of the file is added: produce has lines only.
number_lines() {
  cat -n -- "$1" | sed 's/^ *//' >"$work/numbered"
  cp -- "$1" "$work/expected"
  if [ -n "$(tail -c 1 -- "$1" | tr -d '\n' | head -c 1 | od -An -c)" ]; then
    printf '\n' >>"$work/numbered"
    printf '\n' >>"$work/expected"
  fi
  lines=$(wc -l <"$work/expected")
  bytes=$(wc -c <"$work/expected")
}

produce() {
  local begun took
  begun=$(microseconds)
  headrace produce "$topic" "$work/numbered" --key-separator "$tab" >"$work/produce.log" 2>&1 ||
    { show_log "$work/produce.log"; fail "headrace produce failed"; }
  took=$(($(microseconds) - begun))
  say "produced (durable: on disk before the answer): $(rate "$lines" lines "$took")"
}

consume() {
  local begun took
  begun=$(microseconds)
  headrace consume "$topic" --from beginning --until end --format '%p\t%o\t%k\t%v\n' \
    >"$work/consumed" 2>"$work/consume.log" || {
    show_log "$work/consume.log"
    fail "headrace consume failed"
  }
  took=$(($(microseconds) - begun))
  say "consumed: $(rate "$(wc -l <"$work/consumed")" lines "$took")"
}

# Within each partition, offsets ascend by exactly one from 0, and line numbers ascend; all are used.
check_order() {
  cut -f 1-3 "$work/consumed" | awk -F '\t' -v partitions="$1" '
    !($1 in next_offset) { next_offset[$1] = 0; last_number[$1] = 0; ++seen }
    $2 != next_offset[$1] {
      printf "partition %s: offset %s where %d was due (output line %d)\n", $1, $2, next_offset[$1], NR
      exit bad = 1
    }
    $3 + 0 <= last_number[$1] + 0 {
      printf "partition %s, offset %s: line %s after line %s\n", $1, $2, $3, last_number[$1]
      exit bad = 1
    }
    { ++next_offset[$1]; last_number[$1] = $3 }
    END {
      if (bad || seen >= partitions) exit bad
      printf "only %d of %d partitions hold records\n", seen, partitions
      exit 1
    }' >"$work/order" || fail "$(cat "$work/order")"
}

check_bytes() {
  sort -s -t "$tab" -k 3,3n "$work/consumed" | cut -f 4- >"$work/sorted"
  cmp "$work/expected" "$work/sorted" >"$work/difference" 2>&1 && return 0
  printf 'demo: %s\n' "$(cat "$work/difference")" "expected (<) and consumed (>), the first differences:" >&2
  diff -a "$work/expected" "$work/sorted" | head -n 12 >&2 || true
  fail "what was consumed is not the file: $(wc -l <"$work/sorted") lines of $lines," \
    "$(wc -c <"$work/sorted") bytes of $bytes"
}

consume_and_compare() {
  consume
  # A file of a few lines may leave a partition empty.
  check_order $((lines >= 100 ? partitions : 1))
  check_bytes
  say "offsets and line numbers ascend in every partition; $bytes bytes are the file's, byte for byte"
}

# print_counters: how the record bytes went to the consumer, and what the broker weighs.
print_counters() {
  headrace stats --json >"$work/stats" 2>"$work/stats.log" || {
    show_log "$work/stats.log"
    fail "headrace stats failed"
  }
  say "record bytes sent, by strategy, since the broker started:"
  tr '{}' '[\n*]' <"$work/stats" | tr -d ' "' | awk -F ',' '
    /strategy:/ {
      split("", field)
      for (i = 1; i <= NF; ++i) {
        colon = index($i, ":")
        field[substr($i, 1, colon - 1)] = substr($i, colon + 1)
      }
      printf "demo:   %-9s %12d bytes in %6d calls, %12d bytes of them through user space\n", \
        field["strategy"], field["bytes"], field["calls"], field["bytes_through_user"]
      if (field["strategy"] == "sendfile") kernel = field["bytes"]
      user += field["bytes_through_user"]
    }
    END { printf "demo: %d record bytes went by sendfile, %d crossed user space\n", kernel, user }'
  resident=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$broker_pid/status")
  say "the broker's resident memory: $resident KiB"
}

main() {
  if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    printf 'usage: broker/demo.sh BIN_DIRECTORY [FILE]\n' >&2
    exit 2
  fi
  bin=$1
  local file=${2:-/var/lib/dpkg/status}
  if [ ! -f "$file" ] || [ ! -r "$file" ] || [ ! -s "$file" ]; then
    printf 'demo: %s is not a readable file with lines in it\n' "$file" >&2
    exit 2
  fi
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  work=$(mktemp -d "${TMPDIR:-/tmp}/headrace-demo.XXXXXXXX")
  number_lines "$file"
  say "$file: $lines lines, $bytes bytes; data in $work/data"

  start_broker
  headrace topic create "$topic" --partitions "$partitions" >"$work/create.log" 2>&1 ||
    { show_log "$work/create.log"; fail "headrace topic create failed"; }
  produce
  consume_and_compare
  print_counters

  say "kill -9 $broker_pid, and a new broker on the same data"
  kill_broker
  start_broker
  consume_and_compare
  print_counters
  say "passed"
}

main "$@"
