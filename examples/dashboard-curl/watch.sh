#!/usr/bin/env bash
# Shows the dashboard as server-sent events: its present state, then every change.
set -euo pipefail

url="${TIDEWIRE_URL:-http://127.0.0.1:8080}" channel="${CHANNEL:-dashboard:machine}"
secret="${TIDEWIRE_SECRET:-development-secret-not-for-production}"

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# A JWT for a viewer, made of what every machine has.
now=$(date +%s)
signed="$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(printf '{"sub":"viewer","iat":%d,"exp":%d}' "$now" $((now + 3600)) | base64url)"
token="$signed.$(printf '%s' "$signed" | openssl dgst -sha256 -hmac "$secret" -binary | base64url)"

# In a header, where no proxy logs it.
exec curl --silent --show-error --no-buffer --fail-with-body -H "Authorization: Bearer $token" --get \
  --data-urlencode "channel=$channel" "$url/sse"
