#!/usr/bin/env bash
# httpd makes 500 of a server's refusal of an upload that waits for 100 (HTT-47).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/refusing.py" "$back"
httpd_with <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass "/" "http://127.0.0.1:$back/"
</VirtualHost>
CONFIG
ready "$back" "$front"
sent=("POST / HTTP/1.1" "Host: lb.test" "Expect: 100-continue" "Content-Length: 10" "Connection: close")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p')
echo "arrived   $arrived"
verdict test "$arrived" = 500
