#!/usr/bin/env bash
# HAProxy's `balance random(1)` gives two equal servers unequal shares, the same ones each time (ALG-19).
source "$(dirname "$0")/scene.sh"
read -r first second a b < <(free_ports 4)
cat >"$folder/haproxy.cfg" <<CONFIG
defaults
    mode http
    timeout client 60s
    timeout connect 5s
    timeout server 60s
listen light
    bind 127.0.0.1:$first
    balance random(1)
    server a 127.0.0.1:$a
    server b 127.0.0.1:$b
listen heavy
    bind 127.0.0.1:$second
    balance random(1)
    default-server weight 100
    server a 127.0.0.1:$a
    server b 127.0.0.1:$b
frontend backend-a
    bind 127.0.0.1:$a
    http-request return status 200 hdr X-Backend a
frontend backend-b
    bind 127.0.0.1:$b
    http-request return status 200 hdr X-Backend b
CONFIG
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$a" "$b" "$first" "$second"

share() { # PORT: how many of 8000 requests, one after the other, go to a
    python3 - "$1" <<'PYTHON'
import http.client, sys

connection, at_a = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10), 0
for _ in range(8000):
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    at_a += answer.headers["X-Backend"] == "a"
print(at_a)
PYTHON
}
light=$(share "$first") heavy=$(share "$second")
echo "of 8000 requests a got $light with weights of 1 and 1, and $heavy with 100 and 100"
verdict test "$light" -lt 3700 -a "$heavy" -gt 3700
