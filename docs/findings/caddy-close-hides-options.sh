#!/usr/bin/env bash
# Caddy passes answer fields on that Connection names beside close (HTT-06).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
answer=("Connection: x-hop, close" "X-Hop: hop")
start python3 "$here/echo.py" "$back" a "${answer[@]}"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$back
}
CONFIG
ready "$back" "$front"

printf 'answered  %s\n' "${answer[@]}"
arrived=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed '/^$/,$d')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
