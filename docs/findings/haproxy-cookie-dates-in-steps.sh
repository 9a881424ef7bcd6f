#!/usr/bin/env bash
# HAProxy honours a cookie for longer than `maxlife` says: its dates count in steps of 4 s (STK-07).
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
    cookie SRV insert indirect nocache maxlife 2s
    server a 127.0.0.1:$a cookie first
    server b 127.0.0.1:$b cookie second
CONFIG
for name in a b; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
start "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg"
ready "$a" "$b" "$front"

python3 - "$front" <<'PYTHON' && verdict true || verdict false
import http.client, sys, time

def asked(cookie):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    answer.read()
    return answer.headers["Set-Cookie"], answer.headers["X-Backend"]

while not 1.0 <= time.time() % 4 < 1.2:  # the first second of a step: what it rounds up to is furthest away
    time.sleep(0.05)
born = time.time()
given, home = asked("")
print(f"age 0.0   Set-Cookie: {given} (maxlife 2s) by {home}")
honoured = 0.0
for number in range(1, 16):
    time.sleep(max(0.0, born + number / 2 - time.time()))
    age = time.time() - born
    again, home = asked(given.partition(";")[0])
    print(f"age {age:.1f}   {'taken as expired' if again else 'honoured'} by {home}")
    if not again:
        honoured = age
sys.exit(honoured < 3.5)  # whole seconds would allow for 3 s
PYTHON
