"""Whole runs in the docker lab, as a user starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.containers import prepared

from .expectation import expectation
from .runs import slow_machine_only, whole_run

pytestmark = pytest.mark.slow
# Turns, probes, rules with clients' networks, a backend that fails, clients that are known again.
NODES = (
    "ALG-01[change/web]",
    "HLT-01[health/h2u3]",
    "RTE-02[routing-mixed/public/networks]",
    "FLO-07[failover/retry]",
    "STK-05[change-sticky-health/cookie]",
)
CORE = pytest.mark.nightly  # they need an engine, and ten minutes for each whole level


@pytest.mark.parametrize(
    ("target", "only"),
    [
        pytest.param("haproxy", NODES, id="haproxy-sample", marks=CORE),
        pytest.param("haproxy", (), id="haproxy-core", marks=CORE),
        pytest.param("reference", (), id="reference-core", marks=CORE),
    ],
)
def test_core_level(target: str, only: tuple[str, ...], tmp_path: Path) -> None:
    prepared()
    words = [f"--lb-only={node}" for node in only]
    run = whole_run(tmp_path, f"--lb-target={target}", "--lb-lab=docker", "--lb-level=core", *words)
    decided = {node: outcome for node, outcome in run.outcomes.items() if node not in run.undecided}
    wanted = {node: "holds" if target == "reference" else expectation(target).of(node) for node in run.outcomes}
    assert decided == {node: wanted[node] for node in decided}
    assert run.of("holds")
    assert slow_machine_only(run), run.undecided


def test_without_an_engine_nothing_runs_anywhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    said = refused(tmp_path, "--lb-target=reference", "--lb-lab=docker", "--lb-only=ALG-01")
    assert re.search(r"no container engine answers at .*none\.sock", said)
    assert "dockerd as root" in said
    assert "--lb-lab=sealed" in said
    assert "passed" not in said


def refused(folder: Path, *words: str) -> str:
    """What a run says that is refused before anything starts."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 4
    return done.stdout + done.stderr
