#!/usr/bin/env bash
# Envoy's least request of two choices sends requests to the one host that is busier than all others (ALG-14).
source "$(dirname "$0")/envoy.sh"
read -r front a b c d < <(free_ports 5)
cluster="lb_policy: LEAST_REQUEST"
for name in a b c d; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
serve "$front" "$a" "$b" "$c" "$d"
ready "$a" "$b" "$c" "$d" "$front"

python3 - "$front" >"$folder/counts" <<'PYTHON'
import collections, http.client, sys, time

def asked(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", path)
    return connection, connection.getresponse()

kept, answer = asked("/hold")
busiest, served = answer.headers["X-Backend"], collections.Counter()
for _ in range(400):
    connection, answer = asked("/")
    answer.read()
    connection.close()
    served[answer.headers["X-Backend"]] += 1
    time.sleep(0.005)  # the host's count of requests in flight goes down after the answer
print(busiest, served[busiest])
print("sent      1 request that is held at", busiest, "and then 400, one after the other")
print("arrived  ", ", ".join(f"{name} {served[name]}" for name in "abcd"))
PYTHON
read -r _ hits <"$folder/counts"
tail -n +2 "$folder/counts"
verdict test "$hits" -gt 0
