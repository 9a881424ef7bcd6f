"""A backend that answers /N with N interim answers (103) and then 200: interim.py PORT"""

import socketserver
import sys


class Interim(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while first := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * int(first.split()[1][1:]))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Interim).serve_forever()
