#!/usr/bin/env bash
# With slow start Envoy's LEAST_REQUEST goes to busier hosts too, long after the window is over (ALG-36).
source "$(dirname "$0")/envoy.sh"
read -r plain slow a b < <(free_ports 4)
for name in a b; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
policy="type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
least() { # FIELDS: a cluster whose requests go to the host with the fewest, with these fields more
    echo "load_balancing_policy: {policies: [{typed_extension_config: {name: least, typed_config: {\"@type\": $policy, selection_method: FULL_SCAN$1}}}]}"
}
cluster=$(least "") serve "$plain" "$a" "$b"
cluster=$(least ", slow_start_config: {slow_start_window: 1s}") serve "$slow" "$a" "$b"
ready "$a" "$b" "$plain" "$slow"
sleep 3

busier() { # PORT: how many of 60 requests go to the host that has one, while the other has none
    python3 - "$1" <<'PYTHON'
import http.client, sys, time

def asked(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", path)
    return connection, connection.getresponse()

kept, answer = asked("/hold")
busy, hits = answer.headers["X-Backend"], 0
for _ in range(60):
    connection, answer = asked("/")
    answer.read()
    connection.close()
    hits += answer.headers["X-Backend"] == busy
    time.sleep(0.01)  # the host's count of active requests goes down after the answer
print(hits)
PYTHON
}
without=$(busier "$plain") with=$(busier "$slow")
echo "of 60 requests the busier of two hosts got $without without slow start, and $with two seconds after its window"
verdict test "$without" -le 5 -a "$with" -ge 15
