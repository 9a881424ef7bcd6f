"""A client of HTTP/1.0: old_client.py PORT; prints the answer, and `closed` or `reset` for how its connection ended."""

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
    connection.sendall(b"GET / HTTP/1.0\r\nHost: lb.test\r\n\r\n")
    answer, end = b"", "closed"
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        end = "reset"
print(answer.decode().replace("\r", ""))
print(end)
