#!/usr/bin/env bash
# httpd has no time-out for checks: one that is never answered takes a member out when `timeout`, which is for requests,
# is over (HLT-08).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" hang
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back timeout=5 hcmethod=GET hcuri=/health hcinterval=200ms
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"
sleep 3
early=$(status "$front")
sleep 4
late=$(status "$front")
echo "after 3 s $early, after 7 s $late, with timeout=5"
verdict test "$early $late" = "200 503"
