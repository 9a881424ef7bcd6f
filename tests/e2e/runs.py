"""Whole runs as a user starts them: a pytest of their own in an empty folder, read back from run.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOW_MACHINE = "the machine is too slow"
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
        """Node -> reason of what was inconclusive."""
        return {c["node"]: c["reason"] for c in self.record["checks"] if c["outcome"] == "inconclusive"}


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
    return all(SLOW_MACHINE in reason or "slack" in reason for reason in run.undecided.values())
