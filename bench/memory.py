"""What an idle client connection costs the reference in resident memory."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from bench.page import Section
from bench.processes import LOAD_CORE, PROXY_CORE, free_port, running
from bench.proxies import backend, reference

AIM_KB = 40.0
REQUEST = b"GET / HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: lbcheck-bench\r\nAccept: */*\r\n\r\n"


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise ValueError(f"no resident size of process {pid}")


def kb_per_connection(connections: int) -> float:
    """Each connection has had one request answered, and is then left open. Some are opened first, as a warm-up."""
    with tempfile.TemporaryDirectory(prefix="lbcheck-bench-") as name:
        folder = Path(name)
        behind = (free_port(), free_port())
        port = free_port()
        with (
            running(backend(folder, behind), LOAD_CORE, behind, folder / "backend.log"),
            running(reference(folder, port, behind), PROXY_CORE, [port], folder / "log") as process,
        ):
            clients = [_used(port) for _ in range(100)]
            before = resident_kb(process.pid)
            clients += [_used(port) for _ in range(connections)]
            after = resident_kb(process.pid)
            for client in clients:
                client.close()
    return (after - before) / connections


def _used(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST)
    if not client.recv(4096).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("the reference did not answer with 200")
    return client


def section(connections: int = 1000) -> Section:
    cost = kb_per_connection(connections)
    rows = [("figure", "KB"), ("an idle client connection", f"{cost:.1f}")]
    notes = [f"Growth of the process's resident size over {connections} connections that have each had one answer."]
    return Section("Memory", rows, notes, [(f"at most {AIM_KB:g} KB", cost <= AIM_KB, f"{cost:.1f}")])
