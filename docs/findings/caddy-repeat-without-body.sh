#!/usr/bin/env bash
# Caddy cannot repeat a request with a body: the first server refuses the connection, and the second gets nothing (FLO-08).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front dead back < <(free_ports 3)
start python3 "$here/echo.py" "$back" back "Connection: close"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$dead 127.0.0.1:$back {
		lb_policy first
		lb_retries 1
		fail_duration 1s
	}
}
CONFIG
ready "$back" "$front"
first() { sed -n 1p | cut -d' ' -f2; }
with=$(ask "$front" "PUT / HTTP/1.1" "Host: lb.test" "Connection: close" "Content-Length: 4" "" "body" | first)
sleep 1.5
without=$(ask "$front" "PUT / HTTP/1.1" "Host: lb.test" "Connection: close" "Content-Length: 0" | first)
echo "with a body $with, without one $without"
verdict test "$with $without" = "502 200"
