#!/usr/bin/env bash
# nginx forwards request fields that Connection names (HTT-04).
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
start python3 "$here/echo.py" "$back" a
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$back" "$front"

sent=("GET / HTTP/1.1" "Host: lb.test" "Connection: x-hop, close" "X-Hop: hop" "Keep-Alive: timeout=77"
    "Proxy-Connection: x-hop")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed -n '/ got:$/,$p')
sed 's/^/arrived   /' <<<"$arrived"
verdict grep -qi '^x-hop: hop$' <<<"$arrived"
