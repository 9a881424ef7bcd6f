"""docs/examples: a balancer that is started as a command, judged as its reader would, by the settings beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .runs import WholeRun, slow_machine_only, whole_run

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples"
SAMPLE = "ALG-01,ALG-02,ALG-04,ALG-17,ALG-21,FLO-02,FLO-03,FLO-09,FLO-2*,HLT-03,HLT-05,HLT-10,HTT-2*,HTT-45"
# Which claims it keeps, whatever the machine: those of the sample that rest on no times.
KEPT = {"ALG-01", "ALG-02", "ALG-04", "ALG-21", "FLO-02", "FLO-09", "FLO-21", "FLO-22", "FLO-23", "FLO-24", "FLO-25"}


@pytest.fixture(
    scope="module", params=[pytest.param(SAMPLE, id="sample"), pytest.param("*", id="core", marks=pytest.mark.nightly)]
)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    folder = tmp_path_factory.mktemp("example") / "copied"
    shutil.copytree(EXAMPLE, folder)
    return whole_run(folder, f"--lb-only={request.param}", "-n4")


def test_breaks_nothing_that_it_claims(judged: WholeRun) -> None:
    assert judged.of("broken") == set()
    assert slow_machine_only(judged), judged.undecided


def test_keeps_what_rests_on_no_times(judged: WholeRun) -> None:
    assert {node.partition("[")[0] for node in judged.of("holds")} >= KEPT


def test_what_it_cannot_do_is_unsupported_because_its_settings_say_so(judged: WholeRun) -> None:
    reasons = {check["reason"] for check in judged.record["checks"] if check["outcome"] == "unsupported"}
    assert reasons
    assert all(reason.startswith("taken away by --lb-features=-") for reason in reasons)


def test_what_it_cannot_do_and_nobody_said_is_broken(tmp_path: Path) -> None:
    target = f"--lb-target=exec:node {EXAMPLE / 'balancer.mjs'}"
    run = whole_run(tmp_path, target, "--lb-only=ALG-01,ALG-06,RTE-12[redirect/*")
    by_id = {node.partition("[")[0]: outcome for node, outcome in run.outcomes.items()}
    assert by_id == {"ALG-01": "holds", "ALG-06": "broken", "RTE-12": "broken"}
    assert run.exit_code == 1
