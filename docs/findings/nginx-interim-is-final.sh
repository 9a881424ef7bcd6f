#!/usr/bin/env bash
# nginx 1.22 takes 103 (Early Hints) of a server for its final answer (HTT-41, HTT-42).
source "$(dirname "$0")/scene.sh"
read -r front back < <(free_ports 2)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:$front;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 1s;
        location / { proxy_pass http://127.0.0.1:$back; }
    }
}
CONFIG
start python3 "$here/interim.py" "$back"
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$back" "$front"

echo "sent      GET /1 HTTP/1.1"
arrived=$(ask "$front" "GET /1 HTTP/1.1" "Host: lb.test" "Connection: close")
sed 's/^/arrived   /' <<<"$arrived"
verdict test "$(grep -c '^HTTP/1.1 200 ' <<<"$arrived")" = 0
