#!/usr/bin/env bash
# Envoy forwards a request with two Host fields, joined by a comma (HTT-11).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/echo.py" "$back" a "Connection: close"
serve "$front" "$back"
ready "$back" "$front"

ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Host: other.test" "Connection: close" >"$folder/answer"
printf 'sent      Host: lb.test\nsent      Host: other.test\n'
sed -n '1s/^/answered  /p; s/^host: /arrived   Host: /p' "$folder/answer"
verdict grep -q '^host: lb.test,other.test$' "$folder/answer"
