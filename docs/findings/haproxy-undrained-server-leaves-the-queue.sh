#!/usr/bin/env bash
# HAProxy: who waits because all servers are full waits on when one of them leaves the state drain (FLO-46).
source "$(dirname "$0")/scene.sh"
read -r front a b < <(free_ports 3)
cat >"$folder/haproxy.cfg" <<CONFIG
global
    stats socket unix@$folder/admin mode 600 level admin
defaults
    mode http
    timeout client 10s
    timeout connect 5s
    timeout server 10s
    timeout queue 2s
listen web
    bind 127.0.0.1:$front
    balance roundrobin
    server a 127.0.0.1:$a maxconn 1
    server b 127.0.0.1:$b maxconn 1
CONFIG
for name in a b; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$a" "$b" "$front"

python3 - "$front" "$folder/admin" <<'PYTHON' && verdict true || verdict false
import http.client, socket, sys, time

def told(order):
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(sys.argv[2])
        admin.sendall(order.encode() + b"\n")
        admin.shutdown(socket.SHUT_WR)
        admin.recv(4096)

def asks(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", path)
    return connection

told("set server web/a state drain")
busy = asks("/hold")
time.sleep(0.3)
waiting = asks("/")
time.sleep(0.3)
told("set server web/a state ready")
began = time.monotonic()
status = waiting.getresponse().status
new = asks("/").getresponse()
print(f"b is busy, a is ready again: who waits has {status} {time.monotonic() - began:.1f} s later")
print(f"who comes then has {new.status} from {new.headers['X-Backend']} at once")
sys.exit(not (status == 503 and new.headers["X-Backend"] == "a"))
PYTHON
