#!/usr/bin/env bash
# HAProxy passes fields that Connection names, Keep-Alive and Proxy-Connection on, both ways.
. "$(dirname "$0")/common.sh"
origin 18101 a "Connection: x-answer-hop" "X-Answer-Hop: 1"
haproxy_with "defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 1s
listen l
  bind 127.0.0.1:18100
  server a 127.0.0.1:18101"
ready 18101 18100
curl -s -i -H 'Connection: x-hop, keep-alive' -H 'X-Hop: 1' -H 'Proxy-Connection: x-hop' http://127.0.0.1:18100/ | tee "$work/answer"
echo; cat "$work/a"
grep -qi 'x-hop: 1' "$work/a" && grep -qi 'proxy-connection' "$work/a" && grep -qi '^x-answer-hop: 1' "$work/answer"
verdict "X-Hop and Proxy-Connection reach the backend, X-Answer-Hop the client" $?
