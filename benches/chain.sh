#!/usr/bin/env bash
# What waiting for health costs: `up -d` of a chain of five services, each waiting for the one before, against the same
# chain without health checks; the difference for each link. Checked by a command in the container every 100 ms, by a
# command every second, and from outside (`x-probe`).
#
#   benches/chain.sh        ORC=target/.../release/orc  RUNS=5
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" engine stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

links=5
chain() { # chain NAME CONDITION LINE... : each service depends on the one before
    local name=$1 condition=$2 i
    shift 2
    mkdir -p "$work/$name"
    {
        echo "services:"
        for ((i = 1; i <= links; i++)); do
            printf '  s%d:\n    image: orc/demo\n    command: [demo, serve, "80"]\n' "$i"
            printf '    %s\n' "$@"
            [ "$i" = 1 ] || printf '    depends_on: {s%d: {condition: %s}}\n' $((i - 1)) "$condition"
        done
    } >"$work/$name/compose.yaml"
}
exec_check='test: [CMD, demo, get, "http://127.0.0.1/healthz"], start_period: 5s'
chain plain service_started "init: false"
chain exec service_healthy "healthcheck: {$exec_check, interval: 1s, start_interval: 100ms}"
chain second service_healthy "healthcheck: {$exec_check, interval: 1s, start_interval: 1s}"
chain probe service_healthy "x-probe: {tcp: 80}"

# The image is made from the program once.
"$orc" -f "$work/plain/compose.yaml" up -d >"$work/log" 2>&1
"$orc" -f "$work/plain/compose.yaml" down -t 0 >>"$work/log" 2>&1
declare -A took=()
for ((r = 0; r < runs; r++)); do
    for kind in plain exec second probe; do
        took[$kind]+=" $(ms "$orc" -f "$work/$kind/compose.yaml" up -d)"
        "$orc" -f "$work/$kind/compose.yaml" down -t 0 >>"$work/log" 2>&1
    done
done
median() { printf '%s\n' "$@" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
# shellcheck disable=SC2086
for kind in plain exec second probe; do
    row "chain of $links, $kind" ms ${took[$kind]}
    awk -v kind="$kind" -v all="$(median ${took[$kind]})" -v plain="$(median ${took[plain]})" -v links=$links \
        'BEGIN { if (kind != "plain") printf "%-44s %10.1f ms\n", "  for each link", (all - plain) / links }'
done
