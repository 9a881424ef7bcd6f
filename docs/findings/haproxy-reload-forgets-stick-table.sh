#!/usr/bin/env bash
# HAProxy forgets which client address is bound to which server when it is reloaded without a `peers` section (STK-24).
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
    stick-table type ip size 100k expire 1h
    stick on src
    server a 127.0.0.1:$a
    server b 127.0.0.1:$b
CONFIG
for name in a b; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
start "${HAPROXY:-haproxy}" -W -db -f "$folder/haproxy.cfg"
master=${started[-1]}
ready "$a" "$b" "$front"

python3 - "$front" "$master" <<'PYTHON' && verdict true || verdict false
import http.client, os, signal, sys, time

def asked(address):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10, source_address=(address, 0))
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    return answer.headers["X-Backend"]

addresses = [f"127.9.0.{n}" for n in range(1, 11)]
bound = {address: asked(address) for address in addresses}
assert bound == {address: asked(address) for address in reversed(addresses)}
os.kill(int(sys.argv[2]), signal.SIGUSR2)
time.sleep(1.0)
moved = [address for address in reversed(addresses) if asked(address) != bound[address]]
print(f"{len(addresses)} addresses, each bound to a server for an hour; after a reload {len(moved)} are at another")
sys.exit(not moved)
PYTHON
