#!/usr/bin/env bash
# Caddy reads a request of HTTP/1.0 that has both Transfer-Encoding and Content-Length by its length alone, and forwards
# what follows the last chunk as a part of its body (HTT-11).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/echo.py" "$back" back "Connection: close"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$back
}
CONFIG
ready "$back" "$front"
ask "$front" "POST / HTTP/1.0" "Host: lb.test" "Transfer-Encoding: chunked" "Content-Length: 12" "" "0" "" "hidden!" \
    | tee "$folder/answer"
verdict grep -q "^Content-Length: 12" <(sed '1,/^backend back got/d' "$folder/answer")
