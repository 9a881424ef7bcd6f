"""A backend whose probes are answered as told, again and again from the first: probed.py PORT LOG WORD...

`ok` is 200, `bad` 503, `empty` 204 without a length, `hang` never, `cut` a 200 whose head is broken off. LOG gets the
time of each probe of /health and its word, and a line `request` for each other request, which is answered with 200.
"""

import itertools
import socketserver
import sys
import threading
import time
from pathlib import Path

PORT, LOG, *WORDS = sys.argv[1:]
HEADS = {"bad": "503 Service Unavailable\r\nContent-Length: 0", "empty": "204 No Content"}
words = itertools.cycle(WORDS)
lock = threading.Lock()


class Probed(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while first := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            with lock, Path(LOG).open("a") as log:
                word = next(words) if b"/health" in first else "request"
                log.write(f"{time.time():.3f} {word}\n")
            if word == "hang":
                threading.Event().wait()
            if word == "cut":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Broken")
                return
            head = HEADS.get(word, "200 OK\r\nContent-Length: 0")
            self.wfile.write(f"HTTP/1.1 {head}\r\nX-Backend: probed\r\n\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(PORT)), Probed).serve_forever()
