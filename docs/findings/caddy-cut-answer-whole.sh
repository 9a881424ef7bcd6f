#!/usr/bin/env bash
# Caddy ends a chunked answer that its server broke off with a last chunk, as if it were whole (FLO-09); to a client of
# HTTP/1.0 it closes the connection as after any other (FLO-16).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/cutting.py" "$back" chunked
caddy_with <<CONFIG
http://127.0.0.1:$front {
	reverse_proxy 127.0.0.1:$back
}
CONFIG
ready "$back" "$front"
ask "$front" "GET / HTTP/1.1" "Host: 127.0.0.1" "Connection: close" | tee "$folder/answer"
python3 "$here/old_client.py" "$front" >"$folder/old"
verdict test "$(tail -n 3 "$folder/answer" | tr '\n' ' '), $(tail -n 1 "$folder/old")" = "half a 0  , closed"
