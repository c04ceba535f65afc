#!/bin/sh
# The same with curl alone: exchange the job's token (RFC 8693), then ordinary libpq variables. Needs curl and jq.
# SALLYPORT_URL, SALLYPORT_ID_TOKEN (the job's OIDC token) and TARGET come from the job.
set -eu
umask 077
work=$(mktemp -d)
revoke() {
  [ -s "$work/secret" ] && curl -sf -X DELETE -H "authorization: Bearer $(cat "$work/secret")" "$SALLYPORT_URL/v1/credentials/$(cat "$work/id")" >/dev/null
  rm -rf "$work"
}
trap revoke EXIT
trap 'exit 143' TERM INT

printf '%s' "$SALLYPORT_ID_TOKEN" >"$work/token"
curl -s --fail-with-body "$SALLYPORT_URL/v1/token" \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  --data-urlencode "subject_token@$work/token" \
  --data-urlencode "audience=$TARGET" >"$work/answer"
jq -r .access_token "$work/answer" >"$work/secret"
jq -r .credential_id "$work/answer" >"$work/id"
jq -r .connection.ca_pem "$work/answer" >"$work/ca.pem"
jq -r '[.connection.host, .connection.port, "*", .connection.user, .access_token] | map(tostring | gsub("(?<c>[\\\\:])"; "\\\(.c)")) | join(":")' "$work/answer" >"$work/pgpass"

PGHOST=$(jq -r .connection.host "$work/answer") PGPORT=$(jq -r .connection.port "$work/answer")
PGUSER=$(jq -r .connection.user "$work/answer") PGDATABASE=$(jq -r .connection.database "$work/answer")
export PGHOST PGPORT PGUSER PGDATABASE PGPASSFILE="$work/pgpass" PGSSLMODE=verify-full PGSSLROOTCERT="$work/ca.pem"
"$@"
