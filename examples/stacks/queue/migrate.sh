#!/usr/bin/env bash
# Applies each file of /migrations that was not applied yet, in one transaction each.
set -euo pipefail
psql() { command psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"; }

psql -c 'SET client_min_messages = warning' -c 'CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())'
for file in /migrations/*.sql; do
    name=$(basename "$file")
    if [ -z "$(psql -c "SELECT 1 FROM migration WHERE name = '$name'")" ]; then
        psql --single-transaction -f "$file" -c "INSERT INTO migration (name) VALUES ('$name')"
        echo "applied $name"
    fi
done
