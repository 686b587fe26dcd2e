#!/usr/bin/env bash
# A rolling update of ten replicas behind a published port, one at a time and the new one first, while requests come in
# (a connection each): how long it takes until `up` says that it is done, and how many requests failed. Needs `wrk`.
#
#   benches/update.sh        ORC=target/.../release/orc  RUNS=5
set -euo pipefail
source "$(dirname "$0")/lib.sh"
own_machine "$@"
trap '"$orc" -f "$work/compose.yaml" down -t 0 >/dev/null 2>&1; "$orc" engine stop >/dev/null 2>&1; rm -rf "$work"' EXIT

revision() {
    cat >"$work/compose.yaml" <<YAML
services:
  web:
    image: orc/demo
    command: [demo, serve, "80"]
    environment: {REVISION: "$1"}
    ports: ["18080:80"]
    x-probe: {tcp: 80}
    deploy:
      replicas: 10
      update_config: {parallelism: 1, order: start-first, monitor: 1s}
YAML
}
revision 0
"$orc" -f "$work/compose.yaml" up -d --wait >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
took="" failed=0 answered=0
for ((r = 1; r <= runs; r++)); do
    revision "$r"
    wrk -t1 -c4 -d60s -H 'Connection: close' http://127.0.0.1:18080/healthz >"$work/wrk" &
    load=$!
    took+=" $(ms "$orc" -f "$work/compose.yaml" up -d --wait)"
    # It reports when it is interrupted.
    kill -INT $load
    wait $load || true
    answered=$((answered + $(awk '/requests in/ { print $1 }' "$work/wrk")))
    failed=$((failed + $(awk '/Socket errors/ { gsub(",", ""); print $4 + $6 + $8 + $10 } /Non-2xx/ { print $NF }' "$work/wrk" |
        awk '{ sum += $1 } END { print sum + 0 }')))
done
# shellcheck disable=SC2086
row "start-first update of 10 replicas" ms $took
echo "requests meanwhile: $answered answered, $failed failed"
