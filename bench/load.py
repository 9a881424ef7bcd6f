"""wrk's figures for one URL."""

from __future__ import annotations

import re
import subprocess
import sys

from bench.processes import LOAD_CORE, pinned

CONNECTIONS = 32


def requests_per_second(port: int, seconds: int) -> float:
    """Throughput with kept connections; ends the run where anything but 200 came back."""
    argv = pinned(LOAD_CORE, ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"])
    out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"not every answer was 200:\n{out}")
    match = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    if match is None:
        sys.exit(f"wrk said no throughput:\n{out}")
    return float(match[1])
