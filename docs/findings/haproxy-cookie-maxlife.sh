#!/usr/bin/env bash
# `cookie ... maxlife 2s`: the date in the cookie counts in steps of 4 s, so a cookie may live for up to 6 s.
. "$(dirname "$0")/common.sh"
for name in a b c; do origin "1812$(( $(printf %d "'$name") - 96 ))" "$name"; done
haproxy_with "defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 1s
listen l
  bind 127.0.0.1:18120
  cookie S insert indirect nocache maxlife 2s
  server a 127.0.0.1:18121 cookie A
  server b 127.0.0.1:18122 cookie B
  server c 127.0.0.1:18123 cookie C"
ready 18121 18122 18123 18120
# Right after a step of the clock of 4 s a cookie lives longest.
while [ $(( $(date +%s) % 4 )) -ne 1 ]; do sleep 0.1; done
cookie=$(curl -s -i http://127.0.0.1:18120/ | tr -d '\r' | sed -n 's/^set-cookie: \(S=[^;]*\).*/\1/pI')
sleep 3
for _ in 1 2 3 4 5 6; do curl -s -H "Cookie: $cookie" http://127.0.0.1:18120/; echo; done | sort | uniq -c | tee "$work/counts"
[ "$(wc -l <"$work/counts")" -eq 1 ]
verdict "$cookie still binds 3 s after it was set with maxlife 2s" $?
