#!/usr/bin/env bash
# The version of Kafka's jars that are here.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
jar=$(compgen -G "${HEADRACE_CLIENTS:-$root/build/clients}/java/kafka-clients-*.jar")
jar=${jar##*/kafka-clients-}
printf '%s\n' "${jar%.jar}"
