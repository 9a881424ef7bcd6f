#!/usr/bin/env bash
# HAProxy honours a cookie whose date a client has changed: nothing in it is signed (STK-12).
source "$(dirname "$0")/scene.sh"
read -r front a b < <(free_ports 3)
cat >"$folder/haproxy.cfg" <<CONFIG
global
    nbthread 1
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
listen web
    bind 127.0.0.1:$front
    cookie SRV insert indirect nocache maxlife 1d
    server a 127.0.0.1:$a cookie first
    server b 127.0.0.1:$b cookie second
CONFIG
for name in a b; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$a" "$b" "$front"

python3 - "$front" <<'PYTHON' && verdict true || verdict false
import http.client, sys

def asked(cookie):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    answer.read()
    return answer.headers["Set-Cookie"], answer.headers["X-Backend"]

given, home = asked("")
value = given.partition(";")[0]
print(f"given     {value} by {home}")
forged = value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1]  # some minutes or hours earlier
places = [asked(forged)[1] for _ in range(6)]
print(f"forged    {forged}: six requests answered by {', '.join(places)}")
sys.exit(set(places) != {home})
PYTHON
