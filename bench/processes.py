"""Programs that a measurement starts: pinned to a core, ready when they accept, ended by their own id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, LOAD_CORE = CORES[0], CORES[-1]
_READY_S = 15.0
_STOP_S = 5.0
_TICK_S = 0.02

HERE = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(core: int, argv: Sequence[str]) -> list[str]:
    """The command on one core; as it is where there is only one."""
    return ["taskset", "-c", str(core), *argv] if len(CORES) > 1 else list(argv)


@contextmanager
def running(argv: Sequence[str], core: int, ports: Sequence[int], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program while the block runs, from the moment that all its ports accept."""
    with log.open("wb") as out:
        process = subprocess.Popen(pinned(core, argv), stdout=out, stderr=out, cwd=HERE)
        try:
            for port in ports:
                _until_accepting(process, port, log)
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _until_accepting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    pause = Event()
    for _ in range(int(_READY_S / _TICK_S)):
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(_TICK_S)
    sys.exit(f"{process.args!r} does not accept on port {port}:\n{log.read_text(errors='replace')[-2000:]}")
