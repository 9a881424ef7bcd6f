#!/usr/bin/env bash
# httpd makes a check that is due every 220 ms every 300 ms (HLT-02, HLT-19).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" ok
httpd_with proxy_hcheck <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back hcmethod=GET hcuri=/health hcinterval=220ms
    </Proxy>
</VirtualHost>
CONFIG
ready "$back" "$front"
sleep 6
late=$(python3 - "$folder/probes" <<'PYTHON'
import itertools, statistics, sys
times = [float(line.split()[0]) for line in open(sys.argv[1])]
print(round(statistics.median(b - a for a, b in itertools.pairwise(times)) * 1000))
PYTHON
)
echo "every $late ms (median)"
verdict test "$late" -ge 280
