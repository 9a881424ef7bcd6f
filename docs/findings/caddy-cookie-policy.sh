#!/usr/bin/env bash
# Caddy's `lb_policy cookie` sends new clients anywhere at random (STK-13), and a cookie binds however old it is (STK-07).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front a b < <(free_ports 3)
start python3 "$here/echo.py" "$a" a "Connection: close"
start python3 "$here/echo.py" "$b" b "Connection: close"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	header {
		Set-Cookie Path=/ "Path=/; Max-Age=1"
		defer
	}
	reverse_proxy 127.0.0.1:$a 127.0.0.1:$b {
		lb_policy cookie lb
	}
}
CONFIG
ready "$a" "$b" "$front"
request() { ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" "$@"; }
to() { sed -n 's/^X-Backend: //p'; }
request >"$folder/answer"
cookie=$(sed -n 's/^Set-Cookie: \(lb=[^;]*\).*/\1/p' "$folder/answer")
bound=$(to <"$folder/answer")
grep Set-Cookie "$folder/answer"
sleep 2
old=
for _ in $(seq 10); do old+=$(request "Cookie: $cookie" | to); done
new=
for _ in $(seq 40); do new+=$(request | to); done
echo "bound to $bound; after 2 s at $old; new clients at $new"
turns=$(grep -c 'aa\|bb' <<<"$new" || true)
verdict test "$old $turns" = "$(printf "$bound%.0s" $(seq 10)) 1"
