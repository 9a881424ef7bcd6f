#!/usr/bin/env bash
# HAProxy takes a request with two Host fields that say the same (HTT-69).
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

for other in lb.test other.test; do
    printf 'Host: lb.test, Host: %s  ' "$other"
    ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Host: $other" "Connection: close" | head -n 1
done | tee "$folder/answers"
verdict grep -q '^Host: lb.test, Host: lb.test  .* 200 ' "$folder/answers"
