"""A backend that breaks its answers off: cutting.py PORT chunked|reset

`chunked`: a close comes in place of the last chunk. `reset`: a reset comes in place of the close that ends an answer.
"""

import socket
import socketserver
import struct
import sys

PORT, HOW = sys.argv[1:]


class Cutting(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        if HOW == "chunked":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhalf a\r\n")
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf a")
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(PORT)), Cutting).serve_forever()
