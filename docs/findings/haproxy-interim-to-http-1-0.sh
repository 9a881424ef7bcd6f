#!/usr/bin/env bash
# HAProxy passes 103 (Early Hints) on to a client of HTTP/1.0 (HTT-42).
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
start python3 "$here/interim.py" "$back"
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$back" "$front"

echo "sent      GET /1 HTTP/1.0"
arrived=$(ask "$front" "GET /1 HTTP/1.0" "Host: lb.test")
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -q '^HTTP/1.1 103 ' <<<"$arrived"
