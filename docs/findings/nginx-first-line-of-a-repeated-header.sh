#!/usr/bin/env bash
# nginx before 1.23 sees the first line of a repeated request header in $http_NAME, and no other (RTE-06).
source "$(dirname "$0")/scene.sh"
read -r front < <(free_ports 1)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    map \$http_x_version \$pool { default web; "~(^|, )v2(, |$)" next; }
    server { listen 127.0.0.1:$front; location / { return 200 "x-version: \$http_x_version, pool: \$pool\n"; } }
}
CONFIG
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$front"

sent=("GET / HTTP/1.1" "Host: lb.test" "X-Version: zzz" "X-Version: v2" "Connection: close")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed '1,/^$/d')
echo "read as   $arrived"
verdict test "$arrived" = "x-version: zzz, pool: web"
