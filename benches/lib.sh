# What the measurements share: which program, a machine of their own, and how figures are printed.
# Sourced, not executed. Needs root. ORC=path/to/orc names another build; RUNS=n repeats more or less often.

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
        --propagation private -- "$BASH" "$(realpath "$0")" "$@"
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

# stack FILE N [LINE...] : a stack of N services that sleep; `%d` in further lines is the service's number
stack() {
    local file=$1 count=$2 i
    shift 2
    mkdir -p "$(dirname "$file")"
    {
        echo "services:"
        for ((i = 1; i <= count; i++)); do
            printf '  s%d:\n    image: orc/demo\n    command: ["demo", "sleep"]\n' "$i"
            for line in "$@"; do
                # shellcheck disable=SC2059
                printf "    $line\n" "$i"
            done
        done
    } >"$file"
}
