#!/usr/bin/env bash
# httpd counts requests of bound clients as turns: new clients go elsewhere (STK-13), and a cookie binds however old it is
# (STK-07).
source "$(dirname "$0")/scene.sh"
source "$here/httpd.sh"
read -r front a b < <(free_ports 3)
start python3 "$here/echo.py" "$a" a
start python3 "$here/echo.py" "$b" b
httpd_with <<CONFIG
Listen 127.0.0.1:$front
<VirtualHost 127.0.0.1:$front>
    ProxyPass / balancer://web/ stickysession=ROUTE
    <Proxy balancer://web>
        BalancerMember http://127.0.0.1:$a route=a
        BalancerMember http://127.0.0.1:$b route=b
        Header add Set-Cookie "ROUTE=.%{BALANCER_WORKER_ROUTE}e; Path=/; Max-Age=1" env=BALANCER_ROUTE_CHANGED
    </Proxy>
</VirtualHost>
CONFIG
ready "$a" "$b" "$front"
to() { ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" "$@" | sed -n 's/^X-Backend: //p'; }
new=
for _ in $(seq 8); do
    bound=$(to "Cookie: ROUTE=.a")
    new+=$(to)
done
sleep 2
old=$(to "Cookie: ROUTE=.a")
echo "bound to $bound; new clients in between at $new; the cookie of Max-Age=1 binds after 2 s to $old"
verdict test "$bound $new $old" = "a bbbbbbbb a"
