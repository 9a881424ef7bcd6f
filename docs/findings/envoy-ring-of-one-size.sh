#!/usr/bin/env bash
# Without one of four hosts Envoy's ring hash moves keys of the three others too (ALG-12, ALG-24).
source "$(dirname "$0")/envoy.sh"
read -r four three a b c d < <(free_ports 6)
cluster="lb_policy: RING_HASH"
routes="{match: {prefix: /}, route: {cluster: web, hash_policy: [{header: {header_name: ':path'}}]}}"
for name in a b c d; do start python3 "$here/echo.py" "${!name}" "$name" "Connection: close"; done
serve "$four" "$a" "$b" "$c" "$d"
serve "$three" "$a" "$b" "$c"
ready "$a" "$b" "$c" "$d" "$four" "$three"

python3 - "$four" "$three" >"$folder/counts" <<'PYTHON'
import http.client, sys

def host_of(port, key):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", f"/k{key}")
    name = connection.getresponse().headers["X-Backend"]
    connection.close()
    return name

before, after = ([host_of(port, key) for key in range(400)] for port in sys.argv[1:])
others = [(old, new) for old, new in zip(before, after) if old != "d"]
moved = sum(old != new for old, new in others)
print(moved)
print(f"400 keys: {400 - len(others)} at d, which goes; of the {len(others)} others {moved} move")
PYTHON
read -r moved <"$folder/counts"
tail -n +2 "$folder/counts"
verdict test "$moved" -gt 20
