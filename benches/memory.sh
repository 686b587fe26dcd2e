#!/usr/bin/env bash
# What orc keeps in memory for N containers (10) with a published port each: the PSS of the engine and of every
# shim, in KiB, from /proc/PID/smaps_rollup. PSS counts a page that several processes share in parts, so that
# the sum is what the machine spends. The containers' own programs do not count.
#
#   benches/memory.sh [N]        ORC=target/.../release/orc
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" -f "$work/compose.yaml" down >/dev/null 2>&1; "$orc" engine stop >/dev/null 2>&1; rm -rf "$work"' EXIT

count=${1:-10}
stack "$work/compose.yaml" "$count" 'ports: ["127.0.0.1:2%03d:80"]'
"$orc" -f "$work/compose.yaml" up -d --wait >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
# What starting needed is given back within moments.
sleep 5

kib() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$2/smaps_rollup"; }
declare -A total=()
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    words=$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) || continue
    case "$words" in
        *" engine run "*) kind=engine ;;
        "orc shim "*) kind=shims ;;
        *) continue ;;
    esac
    for what in Pss Private_Dirty; do
        total[$kind $what]=$((${total[$kind $what]:-0} + $(kib $what "$pid")))
    done
done
for kind in engine shims; do
    row "$kind, $count containers: PSS" KiB "${total[$kind Pss]}"
    row "$kind, $count containers: of it written to" KiB "${total[$kind Private_Dirty]}"
done
row "all of orc, $count containers: PSS" KiB $((total[engine Pss] + total[shims Pss]))
