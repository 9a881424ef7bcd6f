#!/usr/bin/env bash
# `balance random(2)` draws with replacement: the busiest of four servers still gets requests.
. "$(dirname "$0")/common.sh"
python3 - "$work" <<'P' & started+=($!)
import http.server, sys, threading
held, go = threading.Event(), threading.Event()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/hold":
            open(sys.argv[1] + "/holder", "w").write(str(self.server.server_port))
            go.wait(30)
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers()
        self.wfile.write(str(self.server.server_port).encode())
    def log_message(self, *a): pass
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", p), H) for p in (18111, 18112, 18113, 18114)]
for s in servers[1:]: threading.Thread(target=s.serve_forever, daemon=True).start()
servers[0].serve_forever()
P
haproxy_with "global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
listen l
  bind 127.0.0.1:18110
  balance random(2)
  server a 127.0.0.1:18111
  server b 127.0.0.1:18112
  server c 127.0.0.1:18113
  server d 127.0.0.1:18114"
ready 18111 18110
curl -s http://127.0.0.1:18110/hold & started+=($!)
for _ in $(seq 50); do [ -s "$work/holder" ] && break; sleep 0.1; done
busy=$(cat "$work/holder")
for _ in $(seq 400); do curl -s http://127.0.0.1:18110/; echo; done | sort | uniq -c | tee "$work/counts"
grep -q " $busy\$" "$work/counts"
verdict "server $busy, the only one with a request in flight, got some of the 400 (about 1 in 16)" $?
