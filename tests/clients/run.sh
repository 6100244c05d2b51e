#!/usr/bin/env bash
# Runs real Kafka clients against a broker and says what each of them could do. Installs what Debian has; what
# comes from a language's package registry is left out, and said so, where it cannot be had.
#   run.sh --headrace BIN_DIR [client ...]     against a fresh Headrace from that build; with --and-compare
#                                              then also what --compare does, if Apache Kafka can be had
#   run.sh --kafka [client ...]                the same against Apache Kafka
#   run.sh --compare BIN_DIR                   the same requests to both: tests/clients/differential.py
#   run.sh --broker HOST:PORT [client ...]     against a broker that is there, taken for a Headrace
# With --matrix, which takes --headrace and every client, the tables of the READMEs are written from it.
# Exit 0 if nothing failed.
# HEADRACE_INSTALL=no installs no package; HEADRACE_JOBS=N runs N clients at once (one per core without).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export HEADRACE_CLIENTS=${HEADRACE_CLIENTS:-$root/build/clients}
readonly here root
work=''
headrace_pid=''

say() { printf 'clients: [%3d s] %s\n' "$SECONDS" "$*"; }

usage() {
  sed -n '2,11s/^# \{0,1\}//p' "$0"
}

clean_up() {
  stop_headrace || true
  if [ -n "$work" ]; then
    "$here/kafka.sh" stop "$work/kafka"
    rm -rf -- "$work"
  fi
}

# False if the broker did not end well: one that was killed by a fault passes no check.
stop_headrace() {
  local outcome=0
  [ -n "$headrace_pid" ] || return 0
  kill "$headrace_pid" 2>/dev/null || true
  wait "$headrace_pid" || outcome=$?
  headrace_pid=''
  rm -rf -- "$work/headrace" "$work/ready"
  [ "$outcome" -eq 0 ] && return 0
  printf 'clients: FAILED: headrace-broker ended with %s: %s\n' "$outcome" \
    "$(tail -n 2 "$HEADRACE_CLIENTS/headrace.log")"
  return 1
}

# A Headrace with its data in this run's directory; $broker is its address. Its log stays in build/clients.
start_headrace() {
  local bin=$1 line=''
  [ -x "$bin/headrace-broker" ] || {
    printf 'clients: no headrace-broker in %s\n' "$bin" >&2
    exit 2
  }
  mkfifo "$work/ready"
  "$bin/headrace-broker" --data "$work/headrace" --ready-json --set port=0 \
    >"$work/ready" 2>"$HEADRACE_CLIENTS/headrace.log" &
  headrace_pid=$!
  IFS= read -r line <"$work/ready" || true
  broker=127.0.0.1:$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["port"])' "$line") || {
    tail -n 5 "$HEADRACE_CLIENTS/headrace.log" >&2
    exit 1
  }
}

# Compares if Apache Kafka can be had here; what is wrong beside that is a failure.
compare_if_possible() {
  local outcome=0
  python3 -B "$here/prepare.py" java >"$work/prepare.log" 2>&1 || outcome=$?
  case "$outcome" in
    0) compare "$1" ;;
    3) printf 'differential: not run: Apache Kafka cannot be had: %s\n' "$(tail -n 1 "$work/prepare.log")" ;;
    *)
      printf 'differential: FAILED: Apache Kafka cannot be made ready: %s\n' \
        "$(tail -n 1 "$work/prepare.log")"
      return 1
      ;;
  esac
}

compare() {
  local bin=$1 kafka outcome=0
  kafka=$("$here/kafka.sh" start "$work/kafka") || return 1
  start_headrace "$bin"
  say "the same requests to Apache Kafka at $kafka and to Headrace at $broker"
  python3 -B "$here/differential.py" "$kafka" "$broker" || outcome=$?
  stop_headrace || outcome=1
  return "$outcome"
}

main() {
  local kind='' where='' matrix=() clients=() broker='' jobs and_compare=no
  while [ $# -gt 0 ]; do
    case "$1" in
      --headrace | --broker | --compare)
        kind=${1#--}
        where=${2:?$1 takes a value}
        shift
        ;;
      --kafka) kind=kafka ;;
      --and-compare) and_compare=yes ;;
      --matrix) matrix=(--matrix) ;;
      --help | -h)
        usage
        return 0
        ;;
      -*)
        usage >&2
        return 2
        ;;
      *) clients+=("$1") ;;
    esac
    shift
  done
  [ -n "$kind" ] || {
    usage >&2
    return 2
  }
  if [ "${#matrix[@]}" -gt 0 ] && { [ "$kind" != headrace ] || [ "${#clients[@]}" -gt 0 ]; }; then
    printf 'clients: --matrix takes the place of every row: with --headrace, and no client named\n' >&2
    return 2
  fi
  "$root/broker/install.sh" clients
  mkdir -p "$HEADRACE_CLIENTS"
  work=$(mktemp -d "${TMPDIR:-/tmp}/headrace-clients.XXXXXXXX")
  jobs=${HEADRACE_JOBS:-$(nproc)}
  export HEADRACE_BROKER_KIND=headrace
  case "$kind" in
    compare)
      compare "$where"
      return
      ;;
    broker) broker=$where ;;
    headrace)
      HEADRACE_BIN=$(cd "$where" && pwd)  # for what is done to a live group by the program headrace
      export HEADRACE_BIN
      start_headrace "$where"
      ;;
    kafka)
      HEADRACE_BROKER_KIND=kafka
      broker=$("$here/kafka.sh" start "$work/kafka")
      ;;
  esac
  local results=$HEADRACE_CLIENTS/results-$HEADRACE_BROKER_KIND.jsonl outcome=0
  say "against $HEADRACE_BROKER_KIND at $broker"
  python3 -B "$here/run_clients.py" "$broker" "$results" --jobs "$jobs" "${clients[@]}" || outcome=$?
  python3 -B "$here/matrix.py" "$results" "${matrix[@]}" || outcome=$?
  say "every result is in ${results#"$root"/}"
  stop_headrace || outcome=1
  if [ "$kind$and_compare" = headraceyes ]; then compare_if_possible "$where" || outcome=$?; fi
  return "$outcome"
}

trap clean_up EXIT
main "$@"
