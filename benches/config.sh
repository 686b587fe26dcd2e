#!/usr/bin/env bash
# What `config` costs: time and memory of the whole process for 10, 500 and 10,000 services, and for a file whose
# aliases would grow to gigabytes (refused). Instructions are counted too where valgrind is there: unlike
# time they are the same on a busy machine.
#
#   benches/config.sh        ORC=target/.../release/orc  RUNS=5
#   PEER="docker compose" benches/config.sh
set -euo pipefail
source "$(dirname "$0")/lib.sh"
trap 'rm -rf "$work"' EXIT

cost() { # cost NAME EXPECTED_EXIT COMMAND...
    local name=$1 expected=$2 ms=() kib=() status from
    shift 2
    for ((r = 0; r < runs; r++)); do
        status=0
        from=$(now)
        "$@" >/dev/null 2>"$work/words" || status=$?
        ms+=("$(awk -v us=$(($(now) - from)) 'BEGIN { printf "%.1f", us / 1000 }')")
        [ "$status" = "$expected" ] || { echo "exit $status: $*" >&2; cat "$work/words" >&2; exit 1; }
    done
    # Apart, since `time` is a process of its own that takes time.
    for ((r = 0; r < runs; r++)); do
        command time -f '%M' -o "$work/kib" "$@" >/dev/null 2>&1 || true
        kib+=("$(tail -1 "$work/kib")")
    done
    row "$name" ms "${ms[@]}"
    row "$name" KiB "${kib[@]}"
    if [[ $name == orc* ]] && command -v valgrind >/dev/null; then
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
            awk -v name="$name" '/refs:/ { printf "%-44s %10s instructions\n", name, $NF }'
    fi
}

for n in 10 500 10000; do
    benches/big-compose.sh "$n" >"$work/$n.yaml"
    cost "orc config, $n services" 0 "$orc" -f "$work/$n.yaml" config --format json
    # Above some hundreds a peer may take minutes.
    # shellcheck disable=SC2086
    [ -z "${PEER:-}" ] || [ "$n" -gt 500 ] || cost "peer config, $n services" 0 $PEER -f "$work/$n.yaml" config --format json
done

{
    echo 'a: &a [x, x, x, x, x, x, x, x, x]'
    for pair in ab bc cd de ef fg gh hi; do
        from=${pair:0:1} to=${pair:1:1}
        printf '%s: &%s [*%s, *%s, *%s, *%s, *%s, *%s, *%s, *%s, *%s]\n' "$to" "$to" \
            "$from" "$from" "$from" "$from" "$from" "$from" "$from" "$from" "$from"
    done
} >"$work/bomb.yaml"
cost "orc config, alias bomb refused" 1 "$orc" -f "$work/bomb.yaml" config
