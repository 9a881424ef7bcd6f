#!/usr/bin/env bash
# Caddy without any retry configured sends a GET again whose kept connection is reset (FLO-06).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/resetting.py" "$back" "$folder/arrivals"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$back
}
CONFIG
ready "$back" "$front"
ask "$front" "GET /first HTTP/1.1" "Host: lb.test" "Connection: close" >/dev/null
ask "$front" "GET /reset HTTP/1.1" "Host: lb.test" "Connection: close" | head -n 1
cat "$folder/arrivals"
verdict test "$(grep -c /reset "$folder/arrivals")" = 2
