#!/usr/bin/env bash
# Installs a build into a directory of its own and builds a separate project there: linked to the shared
# library, to the static one, and to the shared one by pkg-config. Each sends and receives through
# the installed broker.
#   tests/package/check.sh BUILD_DIRECTORY COMPILER
set -euo pipefail

build=$1
compiler=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/headrace-package.XXXXXXXX")
prefix="$work/prefix"
broker_pid=''

clean_up() {
  if [ -n "$broker_pid" ]; then
    kill "$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || true
  fi
  rm -rf -- "$work"
}
trap clean_up EXIT

fail() {
  printf 'package: FAILED: %s\n' "$*" >&2
  exit 1
}

build_outside() {
  cmake --install "$build" --prefix "$prefix" >"$work/install.log" ||
    fail "cmake --install: $(cat "$work/install.log")"
  cmake -S "$here/outside" -B "$work/outside" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror"
  cmake --build "$work/outside"

  local libdir flags
  libdir=$(find "$prefix" -name headrace.pc -printf '%h\n')
  [ -n "$libdir" ] || fail "headrace.pc is not installed"
  libdir=${libdir%/pkgconfig}
  flags=$(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config --cflags --libs headrace)
  # Flags are words, so they are not quoted.
  # shellcheck disable=SC2086
  "$compiler" -std=c++20 "$here/outside/outside.cc" -o "$work/outside/outside_pkg_config" $flags \
    -Wl,-rpath,"$libdir"
}

# The programs are linked as their names say.
check_linkage() {
  local name
  for name in outside_shared outside_pkg_config; do
    ldd "$work/outside/$name" | grep -F "libheadrace.so" | grep -qF "$prefix" ||
      fail "$name does not use the installed libheadrace.so: $(ldd "$work/outside/$name")"
  done
  ! ldd "$work/outside/outside_static" | grep -F libheadrace || fail "outside_static uses libheadrace.so"
}

start_broker() {
  local line
  mkfifo "$work/ready"
  "$prefix/bin/headrace-broker" --ephemeral >"$work/ready" 2>"$work/broker.log" &
  broker_pid=$!
  exec 3<"$work/ready"
  while read -r -t 60 -u 3 line; do
    if [[ $line == *'"ready":true'* && $line =~ \"port\":([0-9]+) ]]; then
      port=${BASH_REMATCH[1]}
      return 0
    fi
  done
  fail "the installed broker did not start: $(cat "$work/broker.log")"
}

build_outside
check_linkage
start_broker
for name in outside_shared outside_static outside_pkg_config; do
  "$work/outside/$name" "127.0.0.1:$port" "$name" || fail "$name exited with $?"
done
"$prefix/bin/headrace" --broker "127.0.0.1:$port" topic list
printf 'package: the installed library, programs, CMake package and pkg-config file work\n'
