"""Neither the number of workers nor the order changes an outcome, and one report is written."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

SHUFFLED = """
import random

def pytest_collection_modifyitems(items):
    random.Random(%d).shuffle(items)
"""
WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "two workers": ("-n", "2"),
    "shuffled": ("-p", "shuffled"),
    "two workers, shuffled": ("-n", "2", "-p", "shuffled"),
}


@pytest.fixture
def shuffling(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.pytester.path / "plugins").mkdir()
    (project.pytester.path / "plugins" / "shuffled.py").write_text(SHUFFLED % 7)
    monkeypatch.setenv("PYTHONPATH", str(project.pytester.path / "plugins"))
    return project


def judged(record: dict[str, Any]) -> dict[str, Any]:
    """Outcome, judgements and drawing of each check: all but how long it took and who ran it."""
    return {c["node"]: (c["outcome"], c["reason"], c["judgements"], c["timeline"]) for c in record["checks"]}


def test_bundled_checks_end_the_same(shuffling: Project) -> None:
    seen = {}
    for way, words in WAYS.items():
        result = shuffling.run("--lb-only=STK,HLT-01,RTE-19", *words, own=False)
        assert result.ret == 0, result.stdout.str()
        seen[way] = judged(shuffling.record())
    assert len(seen["plain"]) > 10
    assert all(found == seen["plain"] for found in seen.values())


def test_every_end_is_the_same(shuffling: Project) -> None:
    shuffling.own("holds", "broken", "inconclusive", "unsupported", "harness fault", "crash", "judge crash", "died")
    seen = {}
    for way, words in WAYS.items():
        assert shuffling.run(*words).ret == 1
        record = shuffling.record()
        seen[way] = judged(record), record["headline"], record["exit_code"], record["not_claimed"]
    assert all(found == seen["plain"] for found in seen.values())


def test_the_report_keeps_the_order_of_the_plan(shuffling: Project) -> None:
    shuffling.run("--lb-only=STK", own=False)
    plain = list(shuffling.outcomes())
    shuffling.run("--lb-only=STK", "-n", "2", "-p", "shuffled", own=False)
    assert list(shuffling.outcomes()) == plain


def test_failures_of_workers_read_as_those_of_one(shuffling: Project) -> None:
    shuffling.own("holds", "broken", "inconclusive", "harness fault")
    result = shuffling.run("-n", "2")
    result.stdout.fnmatch_lines(
        ["BROKEN  OWN-02*", "  evidence  reports/evidence/OWN-02-api/*", "NOT CONFORMANT: 1 broken"]
    )
    assert "1 failed, 1 passed, 1 error, 1 inconclusive" in result.stdout.lines[-1]
    workers = {check["worker"] for check in shuffling.record()["checks"]}
    assert workers <= {"gw0", "gw1"}


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_a_run_that_decides_nothing_is_never_green(project: Project, words: tuple[str, ...]) -> None:
    project.own("inconclusive", "unsupported")
    assert project.run(*words).ret == 11
    assert project.record()["headline"].startswith("NOTHING DECIDED")


def test_a_selection_of_workers_is_a_selection(project: Project) -> None:
    result = project.run("-n", "2", "-k", "STK-01", own=False)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["KEPT: * claim*"])


def test_what_a_worker_did_not_reach_is_not_run(project: Project) -> None:
    project.own("broken", "hangs", "inconclusive", "holds")
    result = project.run("-n", "1", "-x")
    assert result.ret != 0
    assert project.outcomes()["OWN-02[api]"] == "broken"
    assert "OWN-01[api]" not in project.outcomes() or project.outcomes()["OWN-01[api]"] == "not run"
