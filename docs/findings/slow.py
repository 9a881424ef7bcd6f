"""A backend that answers /ok with 200 and /N with 503 after N seconds: slow.py PORT"""

import socketserver
import sys
import time


class Slow(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while first := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            path = first.split()[1].decode()
            status = "200 OK" if path == "/ok" else "503 Service Unavailable"
            time.sleep(0 if path == "/ok" else int(path[1:]))
            self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
