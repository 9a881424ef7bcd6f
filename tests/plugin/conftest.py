"""A user's folder, and pytest called in it as a user calls it: in a process of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from .samples import SPEC, suite

TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Project:
    """`own` writes a module of checks; `run` calls pytest on it with the reference in the simulator."""

    pytester: pytest.Pytester

    def own(self, *names: str, file: str = "own/test_own.py") -> str:
        path = self.pytester.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(suite(*names))
        return file

    def run(self, *words: str, own: bool = True) -> pytest.RunResult:
        given = ["--lb-target=reference", "--lb-lab=sim"]
        given += ["--lb-spec=lb.yaml", "own"] if own else []
        return self.pytester.runpytest_subprocess(*given, *words, timeout=TIMEOUT_S)

    def record(self) -> dict[str, Any]:
        """What run.json says."""
        found: dict[str, Any] = json.loads((self.pytester.path / "reports" / "run.json").read_text())
        return found

    def outcomes(self) -> dict[str, str]:
        return {check["node"]: check["outcome"] for check in self.record()["checks"]}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in [name for name in os.environ if name == "CI" or name.startswith(("LBCHECK_", "PYTEST_"))]:
        monkeypatch.delenv(name)
    (pytester.path / "lb.yaml").write_text(SPEC)
    return Project(pytester)
