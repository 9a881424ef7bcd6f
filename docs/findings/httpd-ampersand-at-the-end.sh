#!/usr/bin/env bash
# mod_rewrite drops an ampersand at the end of the query that a redirect declares (RTE-02, RTE-14).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front < <(free_ports 1)
httpd_with rewrite <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    RewriteEngine On
    RewriteRule ^ http://other.test/?from=here&%{QUERY_STRING} [R=302,NE,QSD]
</VirtualHost>
CONFIG
ready "$front"
ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | grep '^Location' | tee "$folder/answer"
verdict grep -qx 'Location: http://other.test/?from=here' "$folder/answer"
