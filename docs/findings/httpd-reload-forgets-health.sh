#!/usr/bin/env bash
# httpd sends requests to a member that was out as soon as it is restarted gracefully, until its checks fail anew (FLO-26).
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
        BalancerMember http://127.0.0.1:$back hcmethod=GET hcuri=/health hcinterval=500ms hcfails=2 hcpasses=2
    </Proxy>
</VirtualHost>
CONFIG
parent=${started[-1]}
ready "$back" "$front"
for _ in $(seq 40); do [ "$(status "$front")" = 503 ] && break || sleep 0.25; done
before=$(status "$front")
kill -USR1 "$parent"
after=()
for _ in $(seq 10); do after+=("$(status "$front")"); sleep 0.1; done
echo "before $before; after a graceful restart ${after[*]}"
verdict test "$before $(printf '%s\n' "${after[@]}" | grep -c 200)" != "503 0"
