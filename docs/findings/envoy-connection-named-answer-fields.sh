#!/usr/bin/env bash
# Envoy passes answer fields that Connection names on to the client (HTT-06).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
answer=("Connection: x-hop, close" "X-Hop: hop" "Keep-Alive: timeout=77")
start python3 "$here/echo.py" "$back" a "${answer[@]}"
serve "$front" "$back"
ready "$back" "$front"

printf 'answered  %s\n' "${answer[@]}"
arrived=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed '/^$/,$d')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
