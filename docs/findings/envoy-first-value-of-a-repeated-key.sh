#!/usr/bin/env bash
# Envoy looks at the first value of a query key alone (RTE-08).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
routes="{match: {prefix: /, query_parameters: [{name: version, string_match: {exact: '2'}}]},
  direct_response: {status: 200, body: {inline_string: second}}},
  {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: other}}}"
serve "$front" "$back"
ready "$front"

for query in "version=2" "version=2&version=1" "version=1&version=2"; do
    printf '%-22s' "$query"
    ask "$front" "GET /?$query HTTP/1.1" "Host: lb.test" "Connection: close" | tail -n 1
    echo
done | tee "$folder/answers"
verdict grep -q '^version=1&version=2 *other$' "$folder/answers"
