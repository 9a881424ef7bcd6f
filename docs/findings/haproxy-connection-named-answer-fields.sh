#!/usr/bin/env bash
# HAProxy passes answer fields that Connection names, and Keep-Alive, on to the client (HTT-06).
source "$(dirname "$0")/scene.sh"
read -r front back < <(free_ports 2)
cat >"$folder/haproxy.cfg" <<CONFIG
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
listen web
    bind 127.0.0.1:$front
    server a 127.0.0.1:$back
CONFIG
answer=("Connection: x-hop, close" "X-Hop: hop" "Keep-Alive: timeout=77")
start python3 "$here/echo.py" "$back" a "${answer[@]}"
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$back" "$front"

printf 'answered  %s\n' "${answer[@]}"
arrived=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed '/^$/,$d')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
