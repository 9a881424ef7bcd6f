#!/usr/bin/env bash
# HAProxy takes the 103 (Early Hints) before a probe's answer for the answer itself, and the server goes down (HLT-32).
source "$(dirname "$0")/scene.sh"
read -r front back < <(free_ports 2)
cat >"$folder/haproxy.cfg" <<CONFIG
global
    log stdout format raw daemon notice
defaults
    log global
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
listen web
    bind 127.0.0.1:$front
    option httpchk
    http-check send meth GET uri \${URI}
    http-check expect rstatus ^2
    server a 127.0.0.1:$back check inter 200ms fall 2 rise 2
CONFIG
start python3 "$here/interim.py" "$back"
ready "$back"

down() { # N: how many lines tell that the server went down whose health is answered with N interim answers and 200
    sed "s|\${URI}|/$1|" "$folder/haproxy.cfg" >"$folder/$1.cfg"
    timeout 3 "${HAPROXY:-haproxy}" -db -f "$folder/$1.cfg" >"$folder/$1.log" 2>&1 || true
    grep -c "is DOWN, reason: Layer7" "$folder/$1.log" || true
}
without=$(down 0)
with=$(down 1)
echo "200:           $without lines say DOWN"
echo "103, then 200: $with lines say DOWN"
verdict test "$without" = 0 -a "$with" -gt 0
