#!/usr/bin/env bash
# httpd does not find the end of an answer that names Content-Length in Connection: its client waits for it (HTT-51).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/keeping.py" "$back" "Connection: Content-Length"
httpd_with <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass "/" "http://127.0.0.1:$back/"
</VirtualHost>
CONFIG
ready "$back" "$front"

began=$SECONDS
arrived=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" || true)
sed 's/^/arrived   /' <<<"$arrived"
echo "waited    $((SECONDS - began)) s for more"
verdict test "$(grep -c '^whole$' <<<"$arrived"),$((SECONDS - began > 5))" = 1,1
