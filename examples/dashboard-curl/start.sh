#!/usr/bin/env bash
# Feeds a dashboard with this machine's figures, with nothing but curl. COUNT=10 ends after ten of them.
set -euo pipefail

url="${TIDEWIRE_URL:-http://127.0.0.1:8080}" key="${TIDEWIRE_KEY:-tw_dev}"
channel="${CHANNEL:-dashboard:machine}" count="${COUNT:-0}" interval="${INTERVAL:-1}"

# Tried again with the same idempotency key, so nothing is done twice.
publish() { # JSON
  curl --silent --show-error --fail-with-body --output /dev/null --retry 5 --retry-connrefused --max-time 20 \
    "$url/api/v1/publish" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$1"
}

figures() { # a JSON object
  local load rest total free
  read -r load rest </proc/loadavg
  total=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)
  free=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  printf '{"load":%s,"memory_used_percent":%d,"uptime_s":%d}' "$load" $((100 - 100 * free / total)) "$(cut -d. -f1 /proc/uptime)"
}

# The whole document first, then what changes (RFC 7396): who subscribes later gets all of it, who is there only the changes.
name="$(uname -n | tr -dc 'A-Za-z0-9._-')"
publish "{\"channel\":\"$channel\",\"data\":{\"machine\":\"$name\",\"figures\":{}},\"key\":\"$name-$$-start\"}"
echo "feeding $channel at $url; watch it with: examples/dashboard-curl/watch.sh"

for ((i = 1; count == 0 || i <= count; i++)); do
  publish "{\"channel\":\"$channel\",\"merge\":{\"figures\":$(figures),\"updates\":$i},\"key\":\"$name-$$-$i\"}"
  [ "$i" = "$count" ] || sleep "$interval"
done
