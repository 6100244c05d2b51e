#!/usr/bin/env bash
# Installs what is missing, builds, and runs everything that decides whether Headrace is in order:
#   tidy      the tree's own rules
#   release   GCC, optimised: the whole suite, end to end with the real programs, and the installed package
#   clients   real Kafka clients against the release build, and its answers beside Apache Kafka's; what a
#             language's registry does not hand out is left out, and said so
#   asan      clang-19 with the address and undefined-behaviour sanitizers: the whole suite, and the fuzzers
#   tsan      clang-19 with the thread sanitizer: all but what only repeats the others slowly
# With names, only these. What fails fast comes first; a failure does not hide what comes after it. The last
# lines are ctest's closing lines of each build, those with failures last; exit 0 only if nothing failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
closing=$(mktemp -d "${TMPDIR:-/tmp}/headrace-tests.XXXXXXXX")
readonly closing
failed=()

export CTEST_OUTPUT_ON_FAILURE=1
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
for symbolizer in /usr/bin/llvm-symbolizer-19 /usr/lib/llvm-19/bin/llvm-symbolizer; do
  if [ -x "$symbolizer" ]; then
    export ASAN_SYMBOLIZER_PATH=$symbolizer TSAN_OPTIONS="$TSAN_OPTIONS:external_symbolizer_path=$symbolizer"
    break
  fi
done

usage() {
  cat <<'TEXT'
usage: tests/run.sh [tidy|release|clients|asan|tsan ...]    all five without a name

HEADRACE_INSTALL=no   checks and installs no package
HEADRACE_JOBS=N       compiles N files and runs N tests at once; one per core without
TEXT
}

say() { printf 'tests: [%4d s] %s\n' "$SECONDS" "$*"; }

jobs() { printf '%s\n' "${HEADRACE_JOBS:-$(nproc)}"; }

tidy() {
  say "tidy"
  if ! (cd "$root" && python3 -B tests/tidy/tidy.py && python3 -B tests/tidy/tidy_test.py 2>&1); then
    printf 'the tree breaks its own rules\n' >"$closing/tidy"
    failed+=(tidy)
  fi
}

# A tree that was moved here from elsewhere begins anew.
configure() {
  local preset=$1 cache="$root/build/$1/CMakeCache.txt" fresh=()
  if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    fresh=(--fresh)
  fi
  (cd "$root" && cmake --preset "$preset" "${fresh[@]}" -DHEADRACE_TESTS=ON)
}

# build PART PRESET [options of cmake --build]: configures a tree and builds it. False, and PART has failed,
# if it cannot.
build() {
  local part=$1 preset=$2
  shift 2
  say "$part: configuring"
  if ! configure "$preset" >"$closing/configure.log" 2>&1; then
    cat "$closing/configure.log"
    printf 'the build could not be configured\n' >"$closing/$part"
    failed+=("$part")
    return 1
  fi
  say "$part: building"
  if ! cmake --build "$root/build/$preset" --parallel "$(jobs)" "$@"; then
    printf 'the build failed\n' >"$closing/$part"
    failed+=("$part")
    return 1
  fi
}

# run_tree PRESET [options of ctest]: builds a tree and runs its tests.
run_tree() {
  local preset=$1
  shift
  build "$preset" "$preset" || return 0
  say "$preset: testing"
  if ! ctest --test-dir "$root/build/$preset" --parallel "$(jobs)" --no-tests=error "$@" 2>&1 |
    tee "$closing/output"; then
    failed+=("$preset")
  fi
  # The label summary is left out: what counts is what passed, what failed, and which.
  sed -n '/^[0-9]*% tests passed/,$p' "$closing/output" |
    sed '/^Label Time Summary/,/^$/d' >"$closing/$preset"
  [ -s "$closing/$preset" ] || tail -n 3 "$closing/output" >"$closing/$preset"
}

clients() {
  local bin=$root/build/release/bin
  build clients release --target headrace-broker headrace || return 0
  say "clients: testing"
  if ! "$root/tests/clients/run.sh" --headrace "$bin" --and-compare 2>&1 | tee "$closing/output"; then
    failed+=(clients)
  fi
  grep -E '^clients: [0-9]+ passed|^differential: [0-9]+ |^(clients|differential): (FAILED|UNKNOWN|not run)' \
    "$closing/output" >"$closing/clients" || tail -n 3 "$closing/output" >"$closing/clients"
}

# The closing lines once more, of all trees together, so that nobody has to search for them.
conclude() {
  local preset passed=()
  for preset in "$@"; do
    [[ " ${failed[*]-} " == *" $preset "* ]] || passed+=("$preset")
  done
  say "finished; failed: ${failed[*]:-nothing}"
  for preset in "${passed[@]}" "${failed[@]}"; do
    [ -f "$closing/$preset" ] || continue
    printf '\n== %s\n' "$preset"
    grep -v '^$' "$closing/$preset" || true
  done
  [ "${#failed[@]}" -eq 0 ]
}

main() {
  local part parts=("$@")
  if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    usage
    return 0
  fi
  [ $# -gt 0 ] || parts=(tidy release clients asan tsan)
  for part in "${parts[@]}"; do
    case "$part" in tidy | release | clients | asan | tsan) ;; *)
      usage >&2
      exit 2
      ;;
    esac
  done
  say "checking packages"
  "$root/broker/install.sh" tests
  for part in "${parts[@]}"; do
    case "$part" in
      tidy | clients) "$part" ;;
      release | asan) run_tree "$part" ;;
      tsan) run_tree tsan --label-exclude 'slow|fuzz|tidy' ;;
    esac
  done
  conclude "${parts[@]}"
}

trap 'rm -rf -- "$closing"' EXIT
main "$@"
