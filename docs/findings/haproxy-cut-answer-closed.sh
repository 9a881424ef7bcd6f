#!/usr/bin/env bash
# HAProxy passes an answer that its server reset on to a client of HTTP/1.0 as if it were whole (FLO-16).
source "$(dirname "$0")/scene.sh"
read -r front a < <(free_ports 2)
cat >"$folder/haproxy.cfg" <<CONFIG
defaults
    mode http
    timeout client 10s
    timeout connect 5s
    timeout server 10s
listen web
    bind 127.0.0.1:$front
    server a 127.0.0.1:$a
CONFIG
start python3 "$here/cutting.py" "$a" reset
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$a" "$front"

python3 "$here/old_client.py" "$front" | tee "$folder/answer"
verdict test "$(tail -n 2 "$folder/answer" | tr '\n' ' ')" = "half a closed "
