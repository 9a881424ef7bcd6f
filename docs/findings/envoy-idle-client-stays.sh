#!/usr/bin/env bash
# Envoy closes an idle connection of HTTP/1.1 some seconds after its idle timeout: a drain comes first (HTT-60).
source "$(dirname "$0")/envoy.sh"
read -r front back < <(free_ports 2)
start python3 "$here/echo.py" "$back" a "Connection: close"
more="common_http_protocol_options: {idle_timeout: 1s}"
serve "$front" "$back"
ready "$back" "$front"

python3 - "$front" <<'PYTHON' && verdict true || verdict false
import socket, sys, time

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as client:
    client.sendall(b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n")
    answer = client.recv(65536)
    began = time.monotonic()
    while client.recv(65536):
        began = time.monotonic()
    late = time.monotonic() - began
print(f"idle_timeout 1 s, {answer.split(bytes([13]))[0].decode()}: closed {late:.1f} s after the answer")
sys.exit(not late > 3.0)
PYTHON
