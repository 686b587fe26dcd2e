#!/usr/bin/env bash
# How long `up -d`, `up -d` again, `ps` and `down` take for stacks of N services of one sleeping container
# each, for orc and, where there is one, for another compose command on the same machine in the same minutes.
#
#   benches/compose.sh [sizes...]        ORC=target/.../release/orc  RUNS=5
#   PEER="docker compose" PEER_IMAGE=img PEER_COMMAND='["park"]' benches/compose.sh 1 10 50
#
# Engines take turns, so that noise hits all of them; medians and ranges are printed, in milliseconds.
set -euo pipefail

cd "$(dirname "$0")/.."
orc=$(realpath "${ORC:-target/$(rustc -vV | sed -n 's/^host: //p')/release/orc}")
runs=${RUNS:-5}
work=$(mktemp -d /tmp/orc-bench.XXXXXX)
export ORC_DATA_DIR=$work/data
trap '"$orc" engine stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

stack() { # stack FILE N IMAGE COMMAND
    mkdir -p "$(dirname "$1")"
    {
        echo "services:"
        for ((i = 1; i <= $2; i++)); do
            printf '  s%d:\n    image: %s\n    command: %s\n' "$i" "$3" "$4"
        done
    } >"$1"
}

ms() { # ms COMMAND... : wall milliseconds of a command that must succeed
    local from=${EPOCHREALTIME/./} to
    "$@" >>"$work/log" 2>&1 || { echo "failed: $*" >&2; tail -5 "$work/log" >&2; exit 1; }
    to=${EPOCHREALTIME/./}
    awk -v us=$((to - from)) 'BEGIN { printf "%.1f\n", us / 1000 }'
}

row() { # row NAME FIGURES...
    local name=$1
    shift
    printf '%s\n' "$@" | sort -n | awk -v name="$name" '{ a[NR] = $1 } END {
        m = NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2
        printf "%-36s %10.1f ms   range %s-%s  n=%d\n", name, m, a[1], a[NR], NR }'
}

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
        stack "$work/orc$size/compose.yaml" "$size" orc/demo '["demo", "sleep"]'
        [ -z "${PEER:-}" ] || stack "$work/peer$size/compose.yaml" "$size" "$PEER_IMAGE" "$PEER_COMMAND"
        ORC_PROGRESS=plain "$orc" version >/dev/null
        for ((r = 0; r < runs; r++)); do
            measure orc "$work/orc$size" "$orc"
            [ -z "${PEER:-}" ] || measure peer "$work/peer$size" $PEER
        done
        for what in "up" "up again" "ps" "down"; do
            for engine in orc peer; do
                [ -z "${figures["$engine $what"]:-}" ] || row "$engine $what, $size services" ${figures["$engine $what"]}
            done
        done
    done
done
