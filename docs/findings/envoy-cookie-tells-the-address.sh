#!/usr/bin/env bash
# The cookie of Envoy's stateful session is the host's address, which anybody can decode (STK-06).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
state="{name: envoy.http.stateful_session.cookie, typed_config: {
  '@type': type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState,
  cookie: {name: LB, path: /, ttl: 60s}}}"
http_filters="{name: session, typed_config: {
  '@type': $api.http.stateful_session.v3.StatefulSession, session_state: $state}}, $http_filters"
start python3 "$here/echo.py" "$back" a "Connection: close"
serve "$front" "$back"
ready "$back" "$front"

value=$(ask "$front" "GET / HTTP/1.1" "Host: lb.test" "Connection: close" | sed -n 's/^set-cookie: LB="\?\([^";]*\).*/\1/p')
decoded=$(base64 -d <<<"$value" | tr -cd '[:print:]')
printf 'host     127.0.0.1:%s\ncookie   %s\ndecoded  %s\n' "$back" "$value" "$decoded"
verdict grep -q "127.0.0.1:$back" <<<"$decoded"
