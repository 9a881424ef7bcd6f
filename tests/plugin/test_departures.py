"""A target that goes without having been told: broken where it happened, and no verdict lost elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project
from .samples import suite

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

EXITS = """
@claim("OWN-21", "The balancer stays.")
def test_exits(stage, pool):
    expect(takes_turns(stage.send(pool, rounds=3), ["a", "b"]))
    import os, signal
    process = stage._scene.target._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
"""
HANGS = """
@claim("OWN-22", "The balancer goes on.")
def test_hangs_itself(stage, pool):
    import os, signal
    os.kill(stage._scene.target._process.pid, signal.SIGSTOP)
    exchange = stage.one(pool, within=0.2)
    expect(inconclusive("share", "an answer", f"none ({exchange.error})"))
"""
REFUSES = """
@claim("OWN-23", "The balancer accepts.")
def test_refuses(stage, pool):
    for frontend in stage._scene.target._balancer.frontends:
        frontend.server.close()
    expect(decided(stage.one(pool).complete, "answers", "an answer", "none"))
"""
QUIETLY = """
@claim("OWN-24", "The balancer accepts to the end.")
def test_refuses_at_the_end(stage, pool):
    expect(takes_turns(stage.send(pool, rounds=3), ["a", "b"]))
    for frontend in stage._scene.target._balancer.frontends:
        frontend.server.close()
"""
HOLDS = suite("holds").removeprefix(suite())


def project_with(project: Project, *checks: str) -> Path:
    folder = project.pytester.path / "own"
    folder.mkdir()
    (folder / "test_own.py").write_text(suite() + "".join(checks))
    return folder


def judgements(project: Project, node: str) -> list[tuple[str, str]]:
    (check,) = [c for c in project.record()["checks"] if c["node"] == node]
    return [(j["judgement"], j["outcome"]) for j in check["judgements"]]


@pytest.mark.parametrize(
    ("check", "node", "first"),
    [
        (REFUSES, "OWN-23[api]", ("answers", "broken")),
        (QUIETLY, "OWN-24[api]", ("takes_turns", "holds")),
    ],
    ids=["while it is asked", "after the last request"],
)
def test_a_target_that_stops_accepting(project: Project, check: str, node: str, first: tuple[str, str]) -> None:
    project_with(project, check, HOLDS)
    result = project.run()
    assert judgements(project, node) == [first, ("target-alive", "broken")]
    assert project.outcomes() == {node: "broken", "OWN-01[api]": "holds"}
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*stopped serving without having been told: *18080 (public) does not accept*"])
    assert (project.pytester.path / "reports" / "evidence" / node.replace("[", "-").rstrip("]")).is_dir()


@pytest.mark.parametrize(
    ("check", "node", "told"),
    [
        (EXITS, "OWN-21[api]", "*went without having been told*"),
        (HANGS, "OWN-22[api]", "*accepts, but nobody reads*"),
    ],
    ids=["exits", "hangs"],
)
def test_a_process_that_goes_and_a_fresh_one_that_is_judged(project: Project, check: str, node: str, told: str) -> None:
    project_with(project, check, HOLDS)
    result = project.run("--lb-lab=process")
    assert project.outcomes() == {node: "broken", "OWN-01[api]": "holds"}
    assert judgements(project, node)[-1] == ("target-alive", "broken")
    result.stdout.fnmatch_lines([told])
