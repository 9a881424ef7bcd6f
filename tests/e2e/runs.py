"""Whole runs as a user starts them: a pytest of their own in an empty folder, read back from run.json."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What only a late machine makes: its own timers, or requests that were late past the balancer too.
SLOW_MACHINE = re.compile(r"the machine is too slow|slack|straight at \d+ backends a request was [\d.]+ s late")
UNDECIDED = ("inconclusive", "harness fault")
LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class WholeRun:
    exit_code: int
    output: str
    record: dict[str, Any]

    @property
    def outcomes(self) -> dict[str, str]:
        return {check["node"]: check["outcome"] for check in self.record["checks"]}

    def of(self, outcome: str) -> set[str]:
        return {node for node, ended in self.outcomes.items() if ended == outcome}

    @property
    def undecided(self) -> dict[str, str]:
        """Node -> reason of what was inconclusive, or failed without the balancer too."""
        return {c["node"]: c["reason"] for c in self.record["checks"] if c["outcome"] in UNDECIDED}


def whole_run(folder: Path, *words: str, path: str | None = None) -> WholeRun:
    """`pytest WORDS` from this folder, with as few of our own settings in its environment as it needs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LBCHECK_", "PYTEST_"))} | {"CI": ""}
    if path is not None:
        environment["PYTHONPATH"] = path
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--lb-report-dir={folder / 'out'}"]
    done = subprocess.run(
        [*command, *words], cwd=folder, env=environment, text=True, capture_output=True, timeout=LIMIT_S, check=False
    )
    report = folder / "out" / "run.json"
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    return WholeRun(done.returncode, done.stdout, json.loads(report.read_text()))


def slow_machine_only(run: WholeRun) -> bool:
    """Is whatever was not decided left open because of this machine's pace alone?"""
    return all(SLOW_MACHINE.search(reason) for reason in run.undecided.values())
