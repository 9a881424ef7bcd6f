#!/usr/bin/env bash
# Envoy takes a chunk that does not end where its size says, and drops the bytes that are too many (HTT-11).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
cat >"$folder/backend.py" <<'PYTHON'
import http.server, pathlib, sys

class Backend(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        pathlib.Path(sys.argv[2]).write_bytes(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
PYTHON
start python3 "$folder/backend.py" "$back" "$folder/body"
serve "$front" "$back"
ready "$back" "$front"

echo 'sent      3\r\nabcd\r\n0\r\n\r\n'
head=("POST / HTTP/1.1" "Host: lb.test" "Connection: close" "Transfer-Encoding: chunked")
answered=$(ask "$front" "${head[@]}" "" 3 abcd 0 | head -n 1)
arrived=$(cat "$folder/body" 2>/dev/null || true)
printf 'answered  %s\narrived   %s\n' "$answered" "$arrived"
verdict test "$answered $arrived" = "HTTP/1.1 200 OK abc"
