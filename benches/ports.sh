#!/usr/bin/env bash
# Requests per second through a published port against the container's own address: by 127.0.0.1, and by an
# address of the machine. Needs `wrk`. The server is the built-in image's own; it is the same on every way, so that
# the quotient tells what the way costs.
#
#   benches/ports.sh        ORC=target/.../release/orc  RUNS=5  SECONDS_EACH=3
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" -f "$work/compose.yaml" down >/dev/null 2>&1; "$orc" engine stop >/dev/null 2>&1; rm -rf "$work"' EXIT

ip addr add 192.0.2.1/32 dev lo
cat >"$work/compose.yaml" <<'YAML'
services:
  web:
    image: orc/demo
    command: ["demo", "serve", "80"]
    ports: ["18080:80"]
YAML
"$orc" -f "$work/compose.yaml" up -d --wait >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
address=$("$orc" -f "$work/compose.yaml" exec web demo resolve web | grep -oE '([0-9]+\.){3}[0-9]+' | head -1)

declare -A rate=() ways=([container]=$address [loopback]=127.0.0.1:18080 [host]=192.0.2.1:18080)
for ((r = 0; r < runs; r++)); do
    # In turns, so that noise hits all of them.
    for way in container loopback host; do
        rate[$way]+=" $(wrk -t1 -c32 -d"${SECONDS_EACH:-3}s" "http://${ways[$way]}/healthz" |
            awk '/Requests\/sec/ { print $2 }')"
    done
done
median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
# shellcheck disable=SC2086
for way in container loopback host; do
    row "$way" req/s ${rate[$way]}
    awk -v name="$way / container" -v a="$(median ${rate[$way]})" -v b="$(median ${rate[container]})" \
        'BEGIN { printf "%-44s %10.2f\n", name, a / b }'
done
