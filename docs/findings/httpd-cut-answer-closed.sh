#!/usr/bin/env bash
# httpd passes a chunked answer that its server broke off on to a client of HTTP/1.0 as if it were whole (FLO-16).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/cutting.py" "$back" chunked
httpd_with <<CONFIG
Listen 127.0.0.1:$front
ProxyPass / http://127.0.0.1:$back/
CONFIG
ready "$back" "$front"
python3 "$here/old_client.py" "$front" | tee "$folder/answer"
verdict test "$(tail -n 2 "$folder/answer" | tr '\n' ' ')" = "half a closed "
