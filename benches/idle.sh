#!/usr/bin/env bash
# What the engine does while nothing happens: its processor time and how often its threads were woken, with N containers
# (50) that sleep, over SECONDS_EACH seconds (20); and again with N containers (1000) that are checked every ten seconds.
#
#   benches/idle.sh [N] [CHECKED]        ORC=target/.../release/orc  SECONDS_EACH=20
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" -f "$work/compose.yaml" down -t 0 >/dev/null 2>&1; "$orc" engine stop >/dev/null 2>&1; rm -rf "$work"' EXIT

wakeups() { awk '/^voluntary_ctxt/ { sum += $2 } END { print sum }' /proc/"$1"/task/*/status; }

observe() { # observe NAME : of the engine, while nothing happens
    local pid seconds=${SECONDS_EACH:-20} busy woken
    pid=$(engine)
    # Threads that starting needed end after ten seconds.
    sleep 15
    busy=$(ticks "$pid") woken=$(wakeups "$pid")
    sleep "$seconds"
    busy=$(($(ticks "$pid") - busy)) woken=$(($(wakeups "$pid") - woken))
    awk -v name="$1" -v busy=$busy -v woken=$woken -v seconds="$seconds" 'BEGIN {
        printf "%-44s %10.2f %% of a processor, %.1f wakeups a second\n", name, busy / seconds, woken / seconds }'
}

up() { "$orc" -f "$work/compose.yaml" up -d >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }; }

idle=${1:-50} checked=${2:-1000}
if [ "$idle" -gt 0 ]; then
    stack "$work/compose.yaml" "$idle"
    up
    observe "engine, $idle containers that sleep"
    "$orc" -f "$work/compose.yaml" down -t 0 >/dev/null 2>&1
fi
if [ "$checked" -gt 0 ]; then
    stack "$work/compose.yaml" 1 "deploy: {replicas: $checked}" 'x-probe: {tcp: 80}' 'healthcheck: {interval: 10s}' 'networks: [n]'
    printf 'networks: {n: {ipam: {config: [{subnet: 10.211.0.0/16}]}}}\n' >>"$work/compose.yaml"
    sed -i 's/\[demo, sleep\]/[demo, serve, "80"]/' "$work/compose.yaml"
    up
    observe "engine, $checked containers probed every 10 s"
    "$orc" -f "$work/compose.yaml" down -t 0 >/dev/null 2>&1
    sed -i '/x-probe/d; s/{interval: 10s}/{test: [CMD, demo, id], interval: 10s}/' "$work/compose.yaml"
    up
    observe "engine, $checked containers with a command every 10 s"
fi
