"""`lbcheck diff` on two runs that really ran: with a defect and without."""

from __future__ import annotations

import pytest

from lbcheck.cli import main

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow


def test_a_defect_is_worse_and_its_repair_better(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    runs: list[tuple[str, list[str]]] = [("right", []), ("wrong", ["--lb-defect=turn-skipped"])]
    for folder, words in runs:
        project.run("--lb-only=ALG-01", f"--lb-report-dir={folder}", *words, own=False)
    right, wrong = (str(project.pytester.path / folder) for folder, _ in runs)
    capsys.readouterr()
    assert main(["diff", right, wrong]) == 1
    said = capsys.readouterr().out
    assert "WORSE  ALG-01[" in said
    assert "holds -> broken: " in said
    assert main(["diff", wrong, right]) == 0
    assert "BETTER  ALG-01[" in capsys.readouterr().out
    assert main(["diff", right, right, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("**nothing changed, ")
    assert main(["diff", right, "nowhere"]) == 4
    assert "expected a run's run.json" in capsys.readouterr().err
