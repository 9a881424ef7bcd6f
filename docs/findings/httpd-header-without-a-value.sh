#!/usr/bin/env bash
# To mod_rewrite a header without a value is none: a rule for whoever sends it cannot see it.
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front a b < <(free_ports 3)
start python3 "$here/echo.py" "$a" usual
start python3 "$here/echo.py" "$b" debug
httpd_with rewrite <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    RewriteEngine On
    RewriteCond %{HTTP:X-Debug} .
    RewriteRule ^/(.*) http://127.0.0.1:$b/\$1 [P]
    RewriteRule ^/(.*) http://127.0.0.1:$a/\$1 [P]
</VirtualHost>
CONFIG
ready "$a" "$b" "$front"
to() { ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" "$@" | sed -n 's/^X-Backend: //p'; }
echo "X-Debug: yes goes to $(to "X-Debug: yes"), X-Debug without a value to $(to "X-Debug:"), no X-Debug to $(to)"
verdict test "$(to "X-Debug: yes") $(to "X-Debug:")" = "debug usual"
