"""The control run in a run: whom it clears, whom it does not, and where it is told."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Project
from .samples import suite

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

SLOW_NETWORK = "    stage._lab.loop.network.hop_s = 0.6\n"
LOST = """
@claim("OWN-31", "Everything is answered.")
def test_lost(stage, pool):
    from lbcheck.backends.script import HANG
    from lbcheck.judges.answers import all_answered
    stage.send(pool, n=2)
    {network}
    for backend in pool.backends:
        backend.answer(HANG)
    exchanges = stage.send(pool, n=3, within=0.5)
    expect(all_answered(stage.sync(), exchanges))
"""
REPEATED = """
@claim("OWN-32", "No POST is sent twice.", timed=True)
def test_repeated(stage, pool):
    from lbcheck.backends.script import HANG
    {network}
    stage.send(pool, n=2)
    expect(decided(False, "never_repeated", "one arrival", "two", rests_on="counts"))
"""


def record_of(project: Project, check: str, network: str) -> dict[str, Any]:
    folder = project.pytester.path / "own"
    folder.mkdir()
    (folder / "test_own.py").write_text(suite() + check.replace("    {network}\n", network))
    project.run()
    (record,) = project.record()["checks"]
    return dict(record)


def controls(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [j for j in record["judgements"] if j["judgement"] == "control"]


def test_a_loss_that_happens_without_the_balancer_too_is_the_harness_fault(project: Project) -> None:
    record = record_of(project, LOST, SLOW_NETWORK)
    assert record["outcome"] == "harness fault"
    assert record["reason"].startswith("it fails without the balancer too: 5 of 5 requests straight at 2 backends")
    assert [c["outcome"] for c in controls(record)] == ["harness fault"]


def test_a_loss_that_happens_with_the_balancer_alone_is_its_own(project: Project) -> None:
    record = record_of(project, LOST, "")
    assert record["outcome"] == "broken"
    (control,) = controls(record)
    assert control["outcome"] == "holds"
    assert (control["figures"]["n"], control["figures"]["lost"]) == (5, 0)


def test_what_counts_alone_prove_is_not_excused_nor_looked_at(project: Project) -> None:
    record = record_of(project, REPEATED, SLOW_NETWORK)
    assert record["outcome"] == "broken"
    assert controls(record) == []
