#!/usr/bin/env bash
# HAProxy sends requests to a server that was down as soon as it is reloaded, until its first check fails (FLO-26).
source "$(dirname "$0")/scene.sh"
read -r front a b < <(free_ports 3)
cat >"$folder/haproxy.cfg" <<CONFIG
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
listen web
    bind 127.0.0.1:$front
    option httpchk
    http-check expect ! hdr name X-Sick
    default-server check inter 2s fall 2 rise 2
    server a 127.0.0.1:$a
    server a-too 127.0.0.1:$a
    server b 127.0.0.1:$b
CONFIG
start python3 "$here/echo.py" "$a" a "Connection: close"
start python3 "$here/echo.py" "$b" b "Connection: close" "X-Sick: yes"
start "${HAPROXY:-haproxy}" -W -db -f "$folder/haproxy.cfg"
master=${started[-1]}
ready "$a" "$b" "$front"

python3 - "$front" "$master" <<'PYTHON' && verdict true || verdict false
import http.client, os, signal, sys, time

def to_b(seconds):
    """Requests of so many seconds, and how many of them b answered."""
    n = hits = 0
    end = time.time() + seconds
    while time.time() < end:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            n, hits = n + 1, hits + (answer.headers["X-Backend"] == "b")
        except OSError:
            pass  # between two processes
        connection.close()
    return n, hits

for _ in range(20):  # until two checks have failed
    if not to_b(0.5)[1]:
        break
print("before the reload  {} requests, {} to b, whose checks fail".format(*to_b(1.0)))
os.kill(int(sys.argv[2]), signal.SIGUSR2)
n, hits = to_b(3.0)
print(f"after it           {n} requests, {hits} to b")
sys.exit(not hits)
PYTHON
