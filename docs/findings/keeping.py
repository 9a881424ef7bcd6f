"""A backend that keeps its connections: keeping.py PORT ['Field: value' ...]. Each answer is `whole`, of 7 bytes."""

import socketserver
import sys

PORT, *FIELDS = sys.argv[1:]
ANSWER = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 7", *FIELDS, "", "whole\r\n"]).encode()


class Keeping(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            if line == b"\r\n":
                self.wfile.write(ANSWER)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(PORT)), Keeping).serve_forever()
