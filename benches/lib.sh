# What the measurements share: which program, a machine of their own, and how figures are printed.
# Sourced, not executed. Needs root. ORC=path/to/orc names another build; RUNS=n repeats more or less often.

script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
orc=$(realpath "${ORC:-target/$(rustc -vV | sed -n 's/^host: //p')/release/orc}")
runs=${RUNS:-5}
work=$(mktemp -d /tmp/orc-bench.XXXXXX)
export ORC_DATA_DIR=$work/data ORC_PROGRESS=plain

# Runs the calling script again in network, mount and process namespaces of its own: an engine of this machine
# is not disturbed, and whatever is still there at the end dies with them.
own_machine() {
    [ -z "${ORC_BENCH_INSIDE:-}" ] || { mount -t tmpfs none /run; ip link set lo up; return; }
    rm -rf "$work"
    ORC_BENCH_INSIDE=1 ORC=$orc exec unshare --net --mount --pid --mount-proc --fork --kill-child \
        --propagation private -- "$BASH" "$script" "$@"
}

# Microseconds of wall time since some moment.
now() { echo "${EPOCHREALTIME/./}"; }

# row NAME UNIT FIGURES... : median and range
row() {
    local name=$1 unit=$2
    shift 2
    printf '%s\n' "$@" | sort -n | awk -v name="$name" -v unit="$unit" '{ a[NR] = $1 } END {
        m = NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2
        printf "%-44s %10.1f %s   range %s-%s  n=%d\n", name, m, unit, a[1], a[NR], NR }'
}

# ms COMMAND... : wall milliseconds of a command that must succeed; what it says goes to a log
ms() {
    local from to
    from=$(now)
    "$@" >>"$work/log" 2>&1 || { echo "failed: $*" >&2; tail -5 "$work/log" >&2; exit 1; }
    to=$(now)
    awk -v us=$((to - from)) 'BEGIN { printf "%.1f\n", us / 1000 }'
}

# Clock ticks (1/100 s) of processor time that a process and its ended children used.
ticks() { awk '{ print $14 + $15 + $16 + $17 }' "/proc/$1/stat"; }

# The engine's process.
engine() { "$orc" engine status --format json | grep -oE '"Pid": *[0-9]+' | grep -oE '[0-9]+'; }

# stack FILE N [LINE...] : a stack of N services that sleep; `%d` in further lines is the service's number. `image` and
# `command`, when set, are theirs.
stack() {
    local file=$1 count=$2 i
    shift 2
    mkdir -p "$(dirname "$file")"
    {
        echo "services:"
        for ((i = 1; i <= count; i++)); do
            printf '  s%d:\n    image: %s\n    command: %s\n' "$i" "${image:-orc/demo}" "${command:-[demo, sleep]}"
            for line in "$@"; do
                # shellcheck disable=SC2059
                printf "    $line\n" "$i"
            done
        done
    } >"$file"
}
