#!/usr/bin/env bash
# Prepares the data folder as root, then is the server as `postgres`. Other commands run as they are.
set -euo pipefail

# The value of a variable, or the content of the file that VARIABLE_FILE names.
setting() {
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-$2}"; fi
}

if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chmod 0700 "$PGDATA"
    find "$PGDATA" /run/postgresql \! -user postgres -exec chown postgres '{}' +
    exec gosu postgres "$BASH_SOURCE" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=$(setting POSTGRES_USER postgres) password=$(setting POSTGRES_PASSWORD '')
    database=$(setting POSTGRES_DB "$user")
    if [ -z "$password" ]; then
        echo "Error: POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must say the superuser's password" >&2
        exit 1
    fi
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-host=scram-sha-256 --auth-local=trust
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # For now it answers on its socket only: nobody connects before everything is there.
    pg_ctl -w start -o "-c listen_addresses=''"
    export PGUSER="$user" PGDATABASE="$database"
    [ "$database" = postgres ] || psql -v ON_ERROR_STOP=1 --dbname postgres -c "CREATE DATABASE \"$database\""
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) echo "running $file"; . "$file" ;;
            *.sql) echo "running $file"; psql -v ON_ERROR_STOP=1 -f "$file" ;;
        esac
    done
    pg_ctl -w -m fast stop
    unset PGUSER PGDATABASE
    echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@" -c listen_addresses='*'
