"""A harness that is killed in the middle of a fault leaves no container, no network, no process and no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lbcheck.lab import guardian

from .containers import left_of, prepared
from .test_interrupted import WITHIN_S, until

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

HARNESS = """
import sys
from lbcheck.lab.docker import DockerLab
from lbcheck.lab.stage import open_stage
from lbcheck.targets import find
from tests.lab.specs import api, checked

lab = DockerLab(find("haproxy"), worker=11)
spec = checked()
try:
    with open_stage(lab, spec, api(spec)) as stage, stage.traffic("web", rate=100):
        stage.pool("api")["a"].pause()
        stage.pool("api")["b"].disconnect()
        print(lab._belongings.folder, flush=True)
        stage.wait(60.0)
finally:
    lab.close()
"""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.nightly) for n in (signal.SIGTERM, signal.SIGINT))]
)
def test_nothing_is_left(number: signal.Signals) -> None:
    prepared()
    command = [sys.executable, "-c", HARNESS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            folder = Path(told.strip())
            token = folder.name.removeprefix(guardian.PREFIX)
            assert told, process.communicate()[1]
            assert len(left_of(token)) == 1 + 4 + 4  # a network, four places, the balancer and its backends

            os.kill(process.pid, number)

            assert until(lambda: not folder.exists())
            assert until(lambda: left_of(token) == [])
            assert guardian.marked(token) == []
            process.wait(WITHIN_S)
        finally:
            process.kill()
