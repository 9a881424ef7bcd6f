#!/usr/bin/env bash
# HAProxy forwards request fields that Connection names, Keep-Alive and Proxy-Connection (HTT-04).
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
start python3 "$here/echo.py" "$back" a
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$back" "$front"

sent=("GET / HTTP/1.1" "Host: lb.test" "Connection: x-hop, close" "X-Hop: hop" "Keep-Alive: timeout=77"
    "Proxy-Connection: x-hop")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed -n '/ got:$/,$p')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
