#!/usr/bin/env bash
# How long `up -d`, `up -d` again, `ps` and `down` take for stacks of N services of one sleeping container
# each, for orc and, where there is one, for another compose command on the same machine in the same minutes.
#
#   benches/compose.sh [sizes...]        ORC=target/.../release/orc  RUNS=5
#   PEER="docker compose" PEER_IMAGE=img PEER_COMMAND='["park"]' benches/compose.sh 1 10 50
#
# Engines take turns, so that noise hits all of them; medians and ranges are printed, in milliseconds.
set -euo pipefail

source "$(dirname "$0")/lib.sh"
trap '"$orc" engine stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

measure() { # measure NAME DIRECTORY COMMAND... : one round, appended to figures
    local name=$1 dir=$2
    shift 2
    cd "$dir"
    figures["$name up"]+=" $(ms "$@" up -d)"
    figures["$name up again"]+=" $(ms "$@" up -d)"
    figures["$name ps"]+=" $(ms "$@" ps)"
    figures["$name down"]+=" $(ms "$@" down -t 1)"
    cd - >/dev/null
}

for n in "${@:-1 10 50}"; do
    for size in $n; do
        declare -A figures=()
        stack "$work/orc$size/compose.yaml" "$size"
        [ -z "${PEER:-}" ] ||
            image=$PEER_IMAGE command=$PEER_COMMAND stack "$work/peer$size/compose.yaml" "$size"
        "$orc" version >/dev/null
        for ((r = 0; r < runs; r++)); do
            measure orc "$work/orc$size" "$orc"
            [ -z "${PEER:-}" ] || measure peer "$work/peer$size" $PEER
        done
        for what in "up" "up again" "ps" "down"; do
            for engine in orc peer; do
                [ -z "${figures["$engine $what"]:-}" ] || row "$engine $what, $size services" ms ${figures["$engine $what"]}
            done
        done
    done
done
