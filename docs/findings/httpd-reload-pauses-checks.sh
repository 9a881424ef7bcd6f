#!/usr/bin/env bash
# httpd makes no check for a second after a graceful restart (HLT-21).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front back < <(free_ports 2)
start python3 "$here/probed.py" "$back" "$folder/probes" ok
httpd_with proxy_hcheck <<CONFIG
ThreadLimit 256
ThreadsPerChild 256
MaxRequestWorkers 256
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ServerName lb.test
    ProxyPass / balancer://web/
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$back hcmethod=GET hcuri=/health hcinterval=200ms
    </Proxy>
</VirtualHost>
CONFIG
parent=${started[-1]}
ready "$back" "$front"
sleep 2
told=$(date +%s.%N)
for _ in 1 2 3; do
    kill -USR1 "$parent"
    sleep 4
done
pause=$(python3 - "$folder/probes" "$told" <<'PYTHON'
import itertools, sys
times, told = [float(line.split()[0]) for line in open(sys.argv[1])], float(sys.argv[2])
print(round(max(b - a for a, b in itertools.pairwise(t for t in times if t > told - 0.5)) * 1000))
PYTHON
)
echo "no check for $pause ms, where one is due every 200 ms"
verdict test "$pause" -ge 800
