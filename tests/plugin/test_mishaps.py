"""What goes wrong around a run: a slow machine, an interruption, a report that cannot be written, long waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Project
from .samples import SPEC, suite

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

TIMED = """
@claim("OWN-12", "A claim on times.", timed=True)
def test_timed(stage, pool):
    expect(takes_turns(stage.send(pool, rounds=3), ["a", "b"]))
"""
HEALTH = "    health_check: {{path: /health, interval: {interval}, timeout: {timeout}, initial: healthy}}\n"
WAITS = """
@claim("OWN-13", "A claim that takes its time.")
def test_waits(stage, pool):
    stage.one(pool)
    stage.wait(60)
"""


def project_with(project: Project, own: str, spec: str = SPEC) -> Path:
    root = project.pytester.path
    (root / "own").mkdir()
    (root / "own" / "test_own.py").write_text(suite() + own)
    (root / "lb.yaml").write_text(spec)
    return root


@pytest.mark.parametrize(
    ("interval", "timeout", "outcome", "code"),
    [("40ms", "20ms", "holds", 0), ("4ms", "1500us", "inconclusive", 11)],
)
def test_the_same_slack_under_tenfold_finer_times_turns_a_timed_check_inconclusive(
    project: Project, interval: str, timeout: str, outcome: str, code: int
) -> None:
    project_with(project, TIMED, SPEC + HEALTH.format(interval=interval, timeout=timeout))
    result = project.run()
    assert list(project.outcomes().values()) == [outcome]
    assert result.ret == code
    if outcome == "inconclusive":
        result.stdout.fnmatch_lines(["  inconclusive: the machine is too slow*"])


def test_a_spec_that_leaves_the_machine_is_refused_before_anything_starts(project: Project) -> None:
    project_with(project, TIMED, SPEC.replace("127.0.0.1:18081", "192.0.2.7:80"))
    result = project.pytester.runpytest_subprocess(
        "--lb-target=reference", "--lb-lab=process", "--lb-spec=lb.yaml", "own"
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*192.0.2.7*not a loopback address*"])


def test_a_report_that_cannot_be_written_hides_no_verdict(project: Project) -> None:
    project.own("holds")
    (project.pytester.path / "reports").mkdir()
    (project.pytester.path / "reports" / "run.json").mkdir()
    result = project.run()
    assert result.ret == 3
    result.stdout.fnmatch_lines(["outcomes  1 holds", "report    could not be written: *", "CONFORMANT at extended"])


def test_an_interrupted_run_says_what_it_waited_for_ends_with_2_and_leaves_a_report(project: Project) -> None:
    root = project_with(project, WAITS)
    words = ["--lb-target=reference", "--lb-spec=lb.yaml", "own"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *words], cwd=root, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "waits for time to pass" in line:
            break
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[0].splitlines(keepends=True)
    assert process.returncode == 2, "".join(said)
    assert any("... OWN-13[api]: waits for time to pass," in line and "at the latest" in line for line in said)
    assert project.outcomes() == {"OWN-13[api]": "not run"}
    assert _children_in(root) == []


def _children_in(root: Path) -> list[str]:
    """Processes whose working folder is below `root`, or that name it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text()
        except OSError:
            continue
        if str(root) in words and folder.name != str(os.getpid()):
            found.append(words)
    return found
