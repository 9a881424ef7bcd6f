#!/usr/bin/env bash
# Caddy gives up on an answer that six interim ones came before (HTT-41), and sends interim answers to clients of HTTP/1.0
# (HTT-42).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/interim.py" "$back"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$back
}
CONFIG
ready "$back" "$front"
statuses() { ask "$front" "GET /$1 HTTP/1.$2" "Host: lb.test" "Connection: close" | sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' | tr '\n' ' '; }
five=$(statuses 5 1)
six=$(statuses 6 1)
old=$(statuses 1 0)
echo "after five: $five; after six: $six; to HTTP/1.0: $old"
verdict test "$five,$six,$old" = "103 103 103 103 103 200 ,103 103 103 103 103 502 ,103 200 "
