#!/bin/sh
# A new cluster, whose user `postgres` has the password POSTGRES_PASSWORD, served to everybody on the network.
set -eu
: "${POSTGRES_PASSWORD:?give a password: docker run -e POSTGRES_PASSWORD=...}"
PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
data=/var/lib/postgresql/data

umask 077
printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
initdb --pgdata "$data" --username postgres --pwfile /tmp/password --auth scram-sha-256 --no-sync >/dev/null
rm /tmp/password
echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
