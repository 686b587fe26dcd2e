#!/usr/bin/env bash
#   benches/big-compose.sh N
# Prints a Compose file of N services with attributes of all kinds in short and long forms (500: 323 KB).
set -euo pipefail
awk -v n="$1" 'BEGIN {
    print "name: big"
    print "x-logging: &logging {driver: json-file, options: {max-size: 10m, max-file: \"3\"}}"
    print "services:"
    for (i = 1; i <= n; i++) {
        printf "  service-%05d:\n    image: registry.example/team/app-%d:${TAG:-1.4.%d}\n", i, i % 17, i % 9
        printf "    command: [\"serve\", \"--port\", \"%d\"]\n", 8000 + i % 100
        printf "    environment:\n      LOG_LEVEL: ${LOG_LEVEL:-info}\n      INDEX: %d\n", i
        printf "      DATABASE_URL: postgres://app@db-%d:5432/app\n", i % 7
        if (i > 1 && i % 3 == 0) printf "    depends_on:\n      service-%05d: {condition: service_healthy}\n", i - 1
        else if (i > 1) printf "    depends_on: [service-%05d]\n", i - 1
        printf "    healthcheck: {test: curl -f http://localhost/, interval: 10s, retries: 3}\n"
        printf "    ports:\n      - \"%d:%d\"\n", 10000 + i, 8000 + i % 100
        printf "    volumes:\n      - data-%d:/var/lib/app\n      - ./conf/%d.toml:/etc/app.toml:ro\n", i % 50, i
        printf "    networks:\n      back: {aliases: [app-%d]}\n", i
        printf "    labels:\n      - com.example.team=team-%d\n", i % 5
        printf "    deploy:\n      replicas: %d\n      resources: {limits: {cpus: \"0.5\", memory: 128M}}\n", i % 4 + 1
        printf "    restart: unless-stopped\n    logging: *logging\n"
    }
    print "networks:\n  back: {}\nvolumes:"
    for (i = 0; i < 50; i++) printf "  data-%d: {}\n", i
}'
