#!/usr/bin/env bash
# Takes open jobs one after the other. A job is marked as done in the transaction that locks it: when a worker dies in
# the middle, the lock goes with its connection, and the next one takes the job.
set -euo pipefail

take() {
    psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -v worker="$(hostname)" <<'SQL'
UPDATE job SET done = now(), worker = :'worker'
WHERE id = (SELECT id FROM job WHERE done IS NULL ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING kind || ' ' || argument;
SQL
}

while true; do
    job=$(take)
    if [ -n "$job" ]; then echo "did $job"; else sleep 1; fi
done
