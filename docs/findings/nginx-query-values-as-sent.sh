#!/usr/bin/env bash
# nginx's $arg_NAME is not decoded: version=%32 is not version=2.
source "$(dirname "$0")/scene.sh"
read -r front < <(free_ports 1)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    map \$arg_version \$pool { default web; "2" second; }
    server { listen 127.0.0.1:$front; location / { return 200 "version: \$arg_version, pool: \$pool\n"; } }
}
CONFIG
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$front"

sent=("GET /?version=%32 HTTP/1.1" "Host: lb.test" "Connection: close")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed '1,/^$/d')
echo "read as   $arrived"
verdict test "$arrived" = "version: %32, pool: web"
