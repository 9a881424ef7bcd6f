#!/usr/bin/env bash
# Caddy remembers each failure for `fail_duration` from its own time on: failures of requests that were under way when a
# server was taken out keep it out for longer (HLT-24).
source "$(dirname "$0")/scene.sh"
source "$here/caddy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/slow.py" "$back"
caddy_with <<CONFIG
http://:$front {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:$back {
		fail_duration 3s
		max_fails 2
		unhealthy_status 503
	}
}
CONFIG
ready "$back" "$front"
first() { ask "$front" "GET $1 HTTP/1.1" "Host: lb.test" "Connection: close" | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p'; }
for _ in 1 2; do first /2 >/dev/null & done # two that fail in 2 s
for _ in 1 2; do first /0 >/dev/null; done  # two that fail at once: out, for 3 s
sleep 4
answer=$(first /ok)
echo "4 s after the second failure, with fail_duration 3s, the answer is $answer"
verdict test "$answer" = 503
