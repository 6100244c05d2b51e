#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and says what it does. Asks nothing, removes nothing, and
# needs neither the network nor root when nothing is missing.
#   broker/install.sh broker   what the broker, the client library and the programs are built with
#   broker/install.sh tests    that, and what the tests run with
#   broker/install.sh clients  the Kafka clients that Debian has, and toolchains of others, for
#                              tests/clients/run.sh
# HEADRACE_INSTALL=no leaves the machine alone: for other distributions, where the reader installs the like.
set -euo pipefail

readonly build_packages=(
  g++ cmake ninja-build pkg-config ccache ca-certificates
  libboost1.81-dev protobuf-compiler libprotobuf-dev libabsl-dev libspdlog-dev libfmt-dev
  libre2-dev libisal-dev libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
)
readonly test_packages=(
  catch2 libbenchmark-dev clang-19 libclang-rt-19-dev llvm-19 lld-19
  python3 python3-kafka python3-snappy python3-lz4 python3-zstandard kcat strace procps
)
readonly client_packages=(
  g++ python3 python3-kafka python3-snappy python3-lz4 python3-zstandard python3-confluent-kafka
  kcat librdkafka-dev rsyslog rsyslog-kafka procps
)
# COMMAND:PACKAGE, installed only where the command is absent: a machine may have a newer one from elsewhere.
# Debian's Go and Rust are too old for any current client.
readonly client_commands=(javac:default-jdk-headless mvn:maven node:nodejs npm:npm)

say() { printf 'install: %s\n' "$*"; }
fail() {
  printf 'install: %s\n' "$@" >&2
  exit 1
}

# Prints those of its arguments that are not installed.
missing_of() {
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qxF "installed $package" <<<"$installed" || printf '%s\n' "$package"
  done
}

# Prints the packages of those COMMAND:PACKAGE whose command is absent.
packages_of_absent() {
  local each
  for each in "$@"; do
    command -v "${each%%:*}" >/dev/null || printf '%s\n' "${each#*:}"
  done
}

# Runs a command as root: directly, or by sudo, which may ask for a password only where somebody can type one.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif [ -t 0 ]; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

require_root() {
  [ "$(id -u)" -ne 0 ] || return 0
  local advice="run this as root, then try again: apt-get install --no-install-recommends $*"
  command -v sudo >/dev/null || fail "packages are missing; this is not root, and there is no sudo" "$advice"
  as_root true || fail "packages are missing, and sudo does not let this user install them" "$advice"
}

# Debian's Boost versions remove each other; what stands on the older one is not ours to break.
refuse_boost_conflict() {
  local other
  [[ " $* " == *" libboost1.81-dev "* ]] || return 0
  other=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 'libboost1.74-dev' 'libboost-dev' 2>/dev/null |
    sed -n 's/^installed //p' | paste -sd' ') || true
  [ -z "$other" ] || fail \
    "libboost1.81-dev is needed and cannot be installed beside $other (each removes the other)" \
    "nothing was removed; to replace it: apt-get install libboost1.81-dev"
}

install_packages() {
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  say "missing: $*"
  require_root "$@"
  refuse_boost_conflict "$@"
  say "apt-get update"
  as_root "${apt[@]}" update </dev/null || say "apt-get update failed; trying with the lists that are there"
  say "apt-get install --no-install-recommends --no-remove"
  as_root "${apt[@]}" install --no-install-recommends --no-remove "$@" </dev/null ||
    fail "apt-get could not install: $*" "its message above says why; nothing was removed"
  local left
  left=$(missing_of "$@" | paste -sd' ')
  [ -z "$left" ] || fail "apt-get reported success, but these are still missing: $left"
  say "done"
}

main() {
  local wanted=("${build_packages[@]}")
  case "${1:-}" in
    broker) ;;
    tests) wanted+=("${test_packages[@]}") ;;
    clients) mapfile -t wanted < <(
      printf '%s\n' "${client_packages[@]}"
      packages_of_absent "${client_commands[@]}"
    ) ;;
    *)
      printf 'usage: broker/install.sh broker|tests|clients\n' >&2
      exit 2
      ;;
  esac
  if [ "${HEADRACE_INSTALL:-yes}" = no ]; then
    say "HEADRACE_INSTALL=no: nothing is checked or installed"
    return 0
  fi
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "this is not a Debian system; install the like of: ${wanted[*]}" "then set HEADRACE_INSTALL=no"
  fi
  local missing
  missing=$(missing_of "${wanted[@]}")
  if [ -n "$missing" ]; then
    # Names of packages hold no spaces: one word each.
    # shellcheck disable=SC2086
    install_packages $missing
  fi
}

main "$@"
