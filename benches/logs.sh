#!/usr/bin/env bash
# A container that writes 1 GB in lines of 71 bytes as fast as it can: how long until all is written, and where the
# processor time goes. Needs a static busybox; PEER="docker" PEER_IMAGE=img measures `docker run` with json-file beside it.
#
#   benches/logs.sh        ORC=target/.../release/orc  RUNS=3
set -euo pipefail
source "$(dirname "$0")/lib.sh"
trap '"$orc" -f "$work/compose.yaml" down -t 0 >/dev/null 2>&1; "$orc" engine stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

busybox=$(command -v busybox)
line=0123456789012345678901234567890123456789012345678901234567890123456789
write="$busybox yes $line | $busybox head -c ${BYTES:-1000000000}"
cat >"$work/compose.yaml" <<YAML
services:
  writer:
    image: orc/demo
    volumes: ["$busybox:$busybox:ro"]
    command: ["$busybox", sh, -c, "$write"]
    logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
YAML
orc_writes() { "$orc" -f "$work/compose.yaml" up -d && "$orc" -f "$work/compose.yaml" wait writer; }
peer_writes() {
    local id
    # shellcheck disable=SC2086
    id=$($PEER run -d -v "$busybox:$busybox:ro" --log-opt max-size=10m --log-opt max-file=3 --entrypoint "$busybox" \
        "$PEER_IMAGE" sh -c "$write")
    $PEER wait "$id" && $PEER rm "$id"
}
"$orc" -f "$work/compose.yaml" create >"$work/log" 2>&1
declare -A took=()
for ((r = 0; r < runs; r++)); do
    took[orc]+=" $(ms orc_writes)"
    [ -z "${PEER:-}" ] || took[peer]+=" $(ms peer_writes)"
done
# shellcheck disable=SC2086
for engine in orc peer; do
    [ -z "${took[$engine]:-}" ] || row "$engine: ${BYTES:-1000000000} bytes of output" ms ${took[$engine]}
done
