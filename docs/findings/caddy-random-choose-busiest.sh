#!/usr/bin/env bash
# Caddy's `random_choose 2` sends requests to the single busiest of four servers (ALG-14).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front a b c d < <(free_ports 5)
for each in "$a a" "$b b" "$c c" "$d d"; do start python3 "$here/echo.py" $each; done
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$a 127.0.0.1:$b 127.0.0.1:$c 127.0.0.1:$d {
		lb_policy random_choose 2
		flush_interval -1
	}
}
CONFIG
ready "$a" "$b" "$c" "$d" "$front"

hits=$(python3 - "$front" <<'PYTHON'
import http.client, sys

def ask(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request("GET", path)
    return connection, connection.getresponse()

_, held = ask("/hold")  # one request in flight, and nobody else has any
busiest, hits = held.headers["X-Backend"], 0
for _ in range(400):
    connection, answer = ask("/")
    answer.read()
    hits += answer.headers["X-Backend"] == busiest
    connection.close()
print(hits)
PYTHON
)
echo "$hits of 400 requests at the only server that was busy"
verdict test "$hits" -gt 0
