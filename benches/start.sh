#!/usr/bin/env bash
# How long the first `orc ps` takes on a machine without a data folder (the engine starts and answers), and on one
# whose engine ended before; and, for comparison, with the engine running, and a command that needs no engine.
#
#   benches/start.sh        ORC=target/.../release/orc  RUNS=5
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" engine stop >/dev/null 2>&1; rm -rf "$work"' EXIT

declare -A figures=()
timed() { # timed NAME COMMAND...
    local name=$1 from
    shift
    from=$(now)
    "$@" >/dev/null 2>"$work/words" || { cat "$work/words" >&2; exit 1; }
    figures[$name]+=" $(awk -v us=$(($(now) - from)) 'BEGIN { printf "%.1f", us / 1000 }')"
}
# The first call brings the program into memory.
"$orc" version >/dev/null
for ((r = 0; r < runs; r++)); do
    rm -rf "$ORC_DATA_DIR"
    timed "first start" "$orc" -p x ps
    timed "engine running" "$orc" -p x ps
    "$orc" engine stop >/dev/null 2>&1
    timed "start again" "$orc" -p x ps
    "$orc" engine stop >/dev/null 2>&1
    timed "no engine needed" "$orc" version
done
for name in "first start" "start again" "engine running" "no engine needed"; do
    # shellcheck disable=SC2086
    row "$name" ms ${figures[$name]}
done
