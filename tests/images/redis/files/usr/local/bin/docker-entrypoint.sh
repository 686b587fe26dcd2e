#!/bin/sh
# Options alone mean the server; as root it first gives the data to `redis`, and goes on as that user.
set -e
case "$1" in -*) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
# Everybody in the stack may ask; that nobody else can is the network's affair.
if [ "$1" = redis-server ]; then set -- "$@" --protected-mode no; fi
exec "$@"
