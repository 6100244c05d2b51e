#!/usr/bin/env bash
# Installs what is missing, builds the programs, and runs the broker in the foreground with its data in
# ./headrace-data of the directory it is called from. See usage() for the rest.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly build="$root/build/release"

usage() {
  cat <<'TEXT'
usage: broker/run.sh [OPTIONS OF headrace-broker]   set up, then run the broker, data in ./headrace-data
       broker/run.sh --build-only                   set up: install what is missing, and build
       broker/run.sh demo [FILE]                    set up, then a round trip of FILE (/var/lib/dpkg/status)
       broker/run.sh --help                         this text; `--help-config` lists the broker's settings

The programs are build/release/bin/headrace-broker and build/release/bin/headrace.
HEADRACE_INSTALL=no   checks and installs no package
HEADRACE_JOBS=N       compiles N files at once; else one per core, and per 1.5 GB of free memory
TEXT
}

say() { printf 'run: %s\n' "$*"; }

# Compilers of Asio and Protobuf take over a gigabyte each; more of them than fit are slower, or killed.
jobs_that_fit() {
  local cores memory_kb fit
  cores=$(nproc)
  memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
  fit=$((${memory_kb:-0} / 1500000))
  if [ "$fit" -lt 1 ]; then fit=1; fi
  if [ "$fit" -lt "$cores" ]; then echo "$fit"; else echo "$cores"; fi
}

# The tests build in the same tree, with more switched on: a configured tree is taken as it is, so that
# neither start undoes the other's configuration. A tree that was moved here from elsewhere begins anew.
configure() {
  local fresh=()
  if [ -f "$build/CMakeCache.txt" ]; then
    if grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
      [ ! -f "$build/build.ninja" ] || return 0
    else
      fresh=(--fresh)
    fi
  fi
  say "configuring $build"
  (cd "$root" && cmake --preset release "${fresh[@]}" -DHEADRACE_TESTS=OFF -DHEADRACE_BENCH=OFF)
}

set_up() {
  say "checking packages"
  "$root/broker/install.sh" broker
  configure
  say "building headrace-broker and headrace"
  cmake --build "$build" --parallel "${HEADRACE_JOBS:-$(jobs_that_fit)}" --target headrace-broker headrace
}

main() {
  case "${1:-}" in
    --help | -h)
      usage
      ;;
    --build-only)
      set_up >&2
      say "built $build/bin/headrace-broker and $build/bin/headrace" >&2
      ;;
    demo)
      shift
      set_up >&2
      exec "$root/broker/demo.sh" "$build/bin" "$@"
      ;;
    *)
      set_up >&2
      say "headrace-broker $*" >&2
      exec "$build/bin/headrace-broker" "$@"
      ;;
  esac
}

main "$@"
