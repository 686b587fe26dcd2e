#!/usr/bin/env bash
# enqueue.sh KIND ARGUMENT: puts a job into the queue.
set -euo pipefail
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v kind="$1" -v argument="$2" <<'SQL'
INSERT INTO job (kind, argument) VALUES (:'kind', :'argument');
SQL
