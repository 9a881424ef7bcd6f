#!/usr/bin/env bash
# nginx passes answer fields that Connection names on to the client (HTT-06).
source "$(dirname "$0")/scene.sh"
read -r front back < <(free_ports 2)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    server { listen 127.0.0.1:$front; location / { proxy_pass http://127.0.0.1:$back; } }
}
CONFIG
answer=("Connection: x-hop, close" "X-Hop: hop" "Keep-Alive: timeout=77")
start python3 "$here/echo.py" "$back" a "${answer[@]}"
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$back" "$front"

printf 'answered  %s\n' "${answer[@]}"
arrived=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed '/^$/,$d')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
