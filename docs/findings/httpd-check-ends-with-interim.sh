#!/usr/bin/env bash
# httpd takes an interim answer to a check for its result, and waits for a body of it (HLT-32).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/interim.py" "$back"
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ServerName lb.test
    ProxyPass /plain/ balancer://plain/
    ProxyPass /hinted/ balancer://hinted/
    <Proxy balancer://plain>
        BalancerMember http://127.0.0.1:$back timeout=2 hcmethod=GET hcuri=/0 hcinterval=200ms hcfails=1
    </Proxy>
    <Proxy balancer://hinted>
        BalancerMember http://127.0.0.1:$back timeout=2 hcmethod=GET hcuri=/1 hcinterval=200ms hcfails=1
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"

status_of() { # PATH
    ask "$front" "GET $1 HTTP/1.1" "Host: lb.test" "Connection: close" | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p'
}
for _ in $(seq 120); do [ "$(status_of /hinted/0)" = 503 ] && break || sleep 0.25; done
plain=$(status_of /plain/0) hinted=$(status_of /hinted/0)
echo "a server whose checks are answered with 200: $plain; with 103 and then 200: $hinted"
verdict test "$plain $hinted" = "200 503"
