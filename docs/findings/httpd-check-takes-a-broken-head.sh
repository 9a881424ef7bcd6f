#!/usr/bin/env bash
# httpd takes a check for good whose answer was broken off in its head (HLT-09).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" cut
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back hcmethod=GET11 hcuri=/health hcinterval=200ms
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"
sleep 4
answer=$(status "$front")
echo "$(grep -c cut "$folder/probes") checks, each broken off after a whole status line; a request is answered with $answer"
verdict test "$answer" = 200
