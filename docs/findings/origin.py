"""A backend that prints each request that it reads, for the reproductions: `origin.py PORT NAME [HEADER: VALUE ...]`."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, NAME, FIELDS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        print(f"{NAME}: {self.requestline} | " + " | ".join(f"{n}: {v}" for n, v in self.headers.items()), flush=True)
        body = NAME.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for field in FIELDS:
            self.send_header(*(part.strip() for part in field.split(":", 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Origin).serve_forever()
