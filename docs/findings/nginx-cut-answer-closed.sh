#!/usr/bin/env bash
# nginx passes a chunked answer that its server broke off on to a client of HTTP/1.0 as if it were whole (FLO-16).
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
        location / { proxy_pass http://127.0.0.1:$back; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
CONFIG
start python3 "$here/cutting.py" "$back" chunked
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$back" "$front"

python3 "$here/old_client.py" "$front" | tee "$folder/answer"
verdict test "$(tail -n 2 "$folder/answer" | tr '\n' ' ')" = "half a closed "
