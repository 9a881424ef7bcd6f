#!/usr/bin/env bash
# HAProxy looks at `timeout check` only when the time for connecting is over: a late answer before that passes (HLT-08).
source "$(dirname "$0")/scene.sh"
read -r front a < <(free_ports 2)
cat >"$folder/late.py" <<'PYTHON'
import http.server, sys, time

class Late(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Late).serve_forever()
PYTHON
start python3 "$folder/late.py" "$a"
ready "$a"

after() { # CONNECT: what is logged of a server that answers its checks after 300 ms, with `timeout check 100ms`
    cat >"$folder/haproxy.cfg" <<CONFIG
global
    log stdout format raw daemon notice
defaults
    log global
    mode http
    timeout client 5s
    timeout connect $1
    timeout server 5s
    timeout check 100ms
listen web
    bind 127.0.0.1:$front
    option httpchk GET /
    server a 127.0.0.1:$a check inter 500ms fall 2 rise 2
CONFIG
    timeout 4 "${HAPROXY:-haproxy}" -db -f "$folder/haproxy.cfg" 2>/dev/null | grep -c "is DOWN, reason: Layer7 timeout" || true
}
long=$(after 1s)
short=$(after 50ms)
echo "timeout connect 1s:   down $long times"
echo "timeout connect 50ms: down $short times"
verdict test "$long" = 0 -a "$short" = 1
