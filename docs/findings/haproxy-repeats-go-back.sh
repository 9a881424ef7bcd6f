#!/usr/bin/env bash
# HAProxy with a consistent hash goes back to the first server that refused, and never asks the sound one (FLO-14).
source "$(dirname "$0")/scene.sh"
read -r front a b c < <(free_ports 4)
cat >"$folder/haproxy.cfg" <<CONFIG
global
    nbthread 1
defaults
    mode http
    timeout client 10s
    timeout connect 100ms
    timeout server 10s
listen web
    bind 127.0.0.1:$front
    balance uri path-only
    hash-type consistent
    retries 2
    option redispatch 1
    retry-on conn-failure
    server a 127.0.0.1:$a
    server b 127.0.0.1:$b
    server c 127.0.0.1:$c
CONFIG
start python3 "$here/echo.py" "$c" c "Connection: close"
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$c" "$front"

for key in $(seq 30); do
    ask "$front" "GET /k$key HTTP/1.1" "Host: lb.test" "Connection: close" | head -n 1
done >"$folder/answers"
echo "servers   a and b refuse, c is sound; each request may be tried three times"
sort "$folder/answers" | uniq -c
verdict grep -q " 503 " "$folder/answers"
