"""A harness that is interrupted or killed in the middle of a scene leaves no process, no listener and no folder."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbcheck.lab import guardian

pytestmark = pytest.mark.slow

WITHIN_S = 20.0

HARNESS = """
import sys
from lbcheck.lab.process import ProcessLab
from lbcheck.lab.stage import open_stage
from lbcheck.targets import find
from tests.lab.specs import api, checked

lab = ProcessLab(find(sys.argv[1]), worker=int(sys.argv[2]))
spec = checked()
try:
    with open_stage(lab, spec, api(spec)) as stage, stage.traffic("web", rate=100):
        stage.pool("api")["a"].hold()
        ports = [stage.spec.listeners[0].port, *(b.spec.port for b in stage.pool("api"))]
        print(lab._belongings.folder, *ports, flush=True)
        stage.wait(60.0)
finally:
    lab.close()
"""


def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        if condition():
            return True
        select.select([], [], [], 0.02)
    return condition()


def listening(ports: list[int]) -> list[int]:
    """Those of the ports on which somebody listens, by the kernel's own list."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    heard = {int(line.split()[1].rpartition(":")[2], 16) for line in lines if line.split()[3] == "0A"}
    return [port for port in ports if port in heard]


@contextlib.contextmanager
def harness(target: str) -> Iterator[tuple[subprocess.Popen[str], Path, list[int]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HARNESS, target, "8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        folder, *ports = process.stdout.readline().split() or [process.communicate()[1]]
        assert ports, folder
        yield process, Path(folder), [int(port) for port in ports]
    finally:
        process.kill()
        process.communicate()


def token_of(folder: Path) -> str:
    return folder.name.removeprefix(guardian.PREFIX)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("target", ["reference", "haproxy", "nginx", "exec:node docs/examples/balancer.mjs"])
def test_nothing_is_left(target: str, number: signal.Signals) -> None:
    with harness(target) as (process, folder, ports):
        token = token_of(folder)
        # nginx writes its title over its environment and is known by its group; the nursery and three backends remain
        assert len(guardian.marked(token)) >= 4
        assert listening(ports) == ports
        assert folder.is_dir()

        os.kill(process.pid, number)

        assert until(lambda: not folder.exists())
        assert until(lambda: not listening(ports))
        assert guardian.marked(token) == []
        process.wait(WITHIN_S)
