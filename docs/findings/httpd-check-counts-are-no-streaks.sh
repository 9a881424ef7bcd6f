#!/usr/bin/env bash
# httpd counts failed checks without forgetting them at a good one, and good ones without forgetting them at a failed
# one: hcfails=2 takes a member out that never failed twice in a row (HLT-04), hcpasses=2 brings one back that never
# passed twice in a row (HLT-06).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" ok bad
httpd_with proxy_hcheck <<CONFIG
LogLevel warn proxy_hcheck:info
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back hcmethod=GET hcuri=/health hcinterval=200ms hcfails=2 hcpasses=2
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"
sleep 5
echo "probes: $(cut -d' ' -f2 "$folder/probes" | tr '\n' ' ')"
grep -o 'Health check [A-Z]*' "$folder/log" | sort | uniq -c
verdict grep -q "Health check ENABLING" "$folder/log"
