"""A backend that answers with its name and the head that it received: echo.py PORT NAME ['Field: value' ...]

A request for /hold gets a head with the name at once, and no body for as long as the backend lives.
"""

import socketserver
import sys
import threading

PORT, NAME, *FIELDS = sys.argv[1:]


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b""
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            head += line
        if not head:
            return
        body = b"backend " + NAME.encode() + b" got:\r\n" + head
        fields = ["HTTP/1.1 200 OK", f"X-Backend: {NAME}", f"Content-Length: {len(body)}", *FIELDS]
        self.wfile.write(("\r\n".join(fields) + "\r\n\r\n").encode())
        if head.startswith(b"GET /hold "):
            threading.Event().wait()
        self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(PORT)), Echo).serve_forever()
