#!/usr/bin/env bash
# Before 1.23, $http_NAME is the first line of a repeated header alone: a map on it never sees the second.
. "$(dirname "$0")/common.sh"
nginx_with "map \$http_x_version \$to { default old; v2 new; }
    server { listen 127.0.0.1:18140; location / { return 200 \$to; } }"
ready 18140
single=$(curl -s -H 'X-Version: v2' http://127.0.0.1:18140/)
second=$(curl -s -H 'X-Version: zzz' -H 'X-Version: v2' http://127.0.0.1:18140/)
echo "one line: $single, as the second of two lines: $second"
[ "$single" = new ] && [ "$second" = old ]
verdict "the second line of X-Version is not seen" $?
