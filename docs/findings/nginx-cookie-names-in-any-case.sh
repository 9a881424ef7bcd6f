#!/usr/bin/env bash
# nginx's $cookie_NAME takes a cookie whose name differs in case: STAFF=1 for staff (RTE-09).
source "$(dirname "$0")/scene.sh"
read -r front < <(free_ports 1)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    map \$cookie_staff \$pool { default web; "1" staff; }
    server { listen 127.0.0.1:$front; location / { return 200 "staff: \$cookie_staff, pool: \$pool\n"; } }
}
CONFIG
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$front"

sent=("GET / HTTP/1.1" "Host: lb.test" "Cookie: STAFF=1" "Connection: close")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed '1,/^$/d')
echo "read as   $arrived"
verdict test "$arrived" = "staff: 1, pool: staff"
