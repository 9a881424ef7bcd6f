#!/usr/bin/env bash
# httpd's QUERY_STRING is not decoded: a RewriteCond for version=2 misses version=%32.
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front < <(free_ports 1)
httpd_with rewrite <<CONFIG
Listen 127.0.0.1:$front
RewriteEngine on
RewriteCond "%{QUERY_STRING}" "(^|&)version=2(&|$)"
RewriteRule "^" "-" [R=406,L]
RewriteRule "^" "-" [F]
CONFIG
ready "$front"

said=""
for query in version=2 version=%32; do
    said+="$(ask "$front" "GET /?$query HTTP/1.1" "Host: lb.test" "Connection: close" | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p') "
    echo "$query: ${said% }"
done
verdict test "$said" = "406 403 "
