"""A backend that refuses each upload at its head, with 413 and without 100 (Continue): refusing.py PORT"""

import socketserver
import sys


class Refusing(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            pass
        if line:
            self.wfile.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            self.rfile.read()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Refusing).serve_forever()
