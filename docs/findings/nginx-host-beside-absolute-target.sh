#!/usr/bin/env bash
# nginx chooses by the authority of an absolute target, and $http_host tells the server the Host field (HTT-46).
source "$(dirname "$0")/scene.sh"
read -r front < <(free_ports 1)
cat >"$folder/nginx.conf" <<CONFIG
pid nginx.pid;
daemon off;
events {}
http {
    access_log off;
    server { listen 127.0.0.1:$front; server_name lb.test; location / { return 200 "lb.test, told \$http_host\n"; } }
    server { listen 127.0.0.1:$front default_server; location / { return 200 "the default, told \$http_host\n"; } }
}
CONFIG
start "${NGINX:-nginx}" -p "$folder/" -c "$folder/nginx.conf" -e stderr
ready "$front"

sent=("GET http://lb.test/ HTTP/1.1" "Host: other.test" "Connection: close")
printf 'sent      %s\n' "${sent[@]}"
arrived=$(ask "$front" "${sent[@]}" | sed '1,/^$/d')
echo "read as   $arrived"
verdict test "$arrived" = "lb.test, told other.test"
