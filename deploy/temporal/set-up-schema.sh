#!/bin/sh
# Creates and updates Temporal's two databases; safe to run again.
set -eu

tool() {
    database=$1
    shift
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" --port "$DB_PORT" \
        --user "$POSTGRES_USER" --database "$database" "$@"
}

for pair in temporal:temporal temporal_visibility:visibility; do
    database=${pair%%:*}
    schema=/etc/temporal/schema/postgresql/v12/${pair##*:}/versioned
    tool "$database" create
    tool "$database" setup-schema --version 0.0 || echo "$database has a schema; updating it"
    tool "$database" update-schema --schema-dir "$schema"
done
