#!/bin/sh
# Scales by queue depth from the outside: API_URL, TOKEN and DEPTH_FILE come from the environment.
# ROUNDS is how often it looks, INTERVAL how many seconds it waits in between.
round=0
while [ "$round" -lt "${ROUNDS:-1000000}" ]; do
  depth=$(cat "$DEPTH_FILE")
  if [ "$depth" -gt 1000 ]; then desired=20
  elif [ "$depth" -gt 500 ]; then desired=10
  elif [ "$depth" -gt 100 ]; then desired=5
  else desired=2
  fi
  current=$(curl -s -H "Authorization: Bearer $TOKEN" "$API_URL/api/v1/external/queue-external" |
    sed 's/.*"desired":\([0-9]*\).*/\1/')
  if [ "$current" != "$desired" ]; then
    echo "Scaling from $current to $desired workers (queue depth: $depth)"
    curl -s -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
      -d "{\"desired\": $desired}" "$API_URL/api/v1/processes/queue-external/scale" >/dev/null
  fi
  round=$((round + 1))
  sleep "${INTERVAL:-60}"
done
