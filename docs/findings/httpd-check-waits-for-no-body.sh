#!/usr/bin/env bash
# httpd's check of a server that answers 204 waits for a body, which such an answer never has, until `timeout` is over:
# no other check is made meanwhile, and a status that is none of the good ones has no effect (HLT-07).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" empty
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/
    ProxyHCExpr good {%{REQUEST_STATUS} -eq 200}
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back timeout=20 hcmethod=GET11 hcuri=/health hcinterval=200ms hcexpr=good
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"
sleep 5
probes=$(grep -c empty "$folder/probes")
answer=$(status "$front")
echo "$probes checks in 5 s, all answered with 204 where 200 alone is good; a request is answered with $answer"
verdict test "$probes $answer" = "1 200"
