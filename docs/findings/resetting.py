"""A backend that reads a request for /reset to its end and resets the connection: resetting.py PORT LOG

Others are answered, and their connections kept. LOG gets the first line of each request.
"""

import socket
import socketserver
import struct
import sys
from pathlib import Path

PORT, LOG = sys.argv[1:]


class Resetting(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while first := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            with Path(LOG).open("a") as log:
                log.write(first.decode().rstrip() + "\n")
            if b"/reset" in first:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(PORT)), Resetting).serve_forever()
