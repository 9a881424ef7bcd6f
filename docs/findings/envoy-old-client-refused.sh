#!/usr/bin/env bash
# Envoy does not serve a client of HTTP/1.0 (HTT-39, HTT-42).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/echo.py" "$back" a "Connection: close"
serve "$front" "$back"
ready "$back" "$front"

for version in 1.1 1.0; do
    printf 'HTTP/%s  %s\n' "$version" "$(ask "$front" "GET / HTTP/$version" "Host: lb.test" "Connection: close" | head -n 1)"
done | tee "$folder/answers"
verdict grep -q '^HTTP/1.0 .* 426 ' "$folder/answers"
