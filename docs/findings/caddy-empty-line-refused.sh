#!/usr/bin/env bash
# Caddy refuses a request with an empty line before it (HTT-49).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front < <(free_ports 1)
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	respond served 200
}
CONFIG
ready "$front"

status() { ask "$front" "$@" "Host: lb.test" "Connection: close" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'; }
plain=$(status "GET / HTTP/1.1")
behind=$(status "" "GET / HTTP/1.1")
echo "at once: $plain; behind an empty line: $behind"
verdict test "$plain $behind" = "200 400"
