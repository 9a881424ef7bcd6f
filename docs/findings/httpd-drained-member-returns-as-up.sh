#!/usr/bin/env bash
# httpd finds out that a member fails while it drains, and forgets it when the member is put back (HLT-29).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" bad
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ServerName lb.test
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back route=a status=+N hcmethod=GET hcuri=/health hcinterval=500ms hcfails=2
        ProxySet stickysession=ROUTE
    </Proxy>
</VirtualHost>
CONFIG
parent=${started[-1]}
ready "$back" "$front"

bound() { # of an answer to a client that is bound to the member
    ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Cookie: ROUTE=.a" "Connection: close" |
        sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p'
}
for _ in $(seq 40); do [ "$(bound)" = 503 ] && break || sleep 0.25; done
draining=$(bound)
sed -i 's/ status=+N//' "$folder/httpd.conf"
kill -USR1 "$parent"
after=""
for _ in $(seq 60); do
    after=$(status "$front")
    [ "$after" = 200 ] && break || sleep 0.1
done
echo "drained and failing, to a bound client: $draining; put back by a graceful restart, to anybody: $after"
verdict test "$draining $after" = "503 200"
