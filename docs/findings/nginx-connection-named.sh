#!/usr/bin/env bash
# nginx passes fields that Connection names, and Proxy-Connection, on, both ways.
. "$(dirname "$0")/common.sh"
origin 18131 a "Connection: x-answer-hop" "X-Answer-Hop: 1"
nginx_with "server { listen 127.0.0.1:18130; location / { proxy_http_version 1.1; proxy_set_header Connection \"\";
    proxy_pass http://127.0.0.1:18131; } }"
ready 18131 18130
curl -s -i -H 'Connection: x-hop' -H 'X-Hop: 1' -H 'Proxy-Connection: x-hop' http://127.0.0.1:18130/ | tee "$work/answer"
echo; cat "$work/a"
grep -qi 'x-hop: 1' "$work/a" && grep -qi 'proxy-connection' "$work/a" && grep -qi '^x-answer-hop: 1' "$work/answer"
verdict "X-Hop and Proxy-Connection reach the backend, X-Answer-Hop the client" $?
