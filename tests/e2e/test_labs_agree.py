"""The same verdict of each check in the simulator and on real sockets, whatever the order and the number of workers."""

from __future__ import annotations

import pytest

from .runs import WholeRun, slow_machine_only, whole_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    return whole_run(tmp_path_factory.mktemp("sim"), "--lb-target=reference", "--lb-lab=sim")


@pytest.fixture(scope="module", params=["core", pytest.param("extended", marks=pytest.mark.nightly)])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    level = f"--lb-level={request.param}"
    return whole_run(tmp_path_factory.mktemp("process"), "--lb-target=reference", level, "-n", "4")


def test_the_reference_keeps_everything_in_the_simulator(simulated: WholeRun) -> None:
    assert set(simulated.outcomes.values()) == {"holds"}
    assert simulated.exit_code == 0


def test_labs_agree(simulated: WholeRun, real: WholeRun) -> None:
    of_level = {check["id"] for check in real.record["checks"]}
    assert {node for node in simulated.outcomes if node.partition("[")[0] in of_level} == set(real.outcomes)
    decided = {node: outcome for node, outcome in real.outcomes.items() if node not in real.undecided}
    assert decided == {node: simulated.outcomes[node] for node in decided}
    assert slow_machine_only(real), real.undecided
    assert real.exit_code == (1 if real.of("harness fault") else 12 if real.undecided else 0)


def test_workers_change_no_verdict(simulated: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> None:
    two = whole_run(tmp_path_factory.mktemp("two"), "--lb-target=reference", "--lb-lab=sim", "-n", "2")
    assert two.outcomes == simulated.outcomes
    assert two.exit_code == simulated.exit_code


def test_a_defect_turns_the_run_red(tmp_path_factory: pytest.TempPathFactory) -> None:
    words = ("--lb-target=reference", "--lb-lab=sim", "--lb-only=ALG", "--lb-defect=turn-skipped")
    red = whole_run(tmp_path_factory.mktemp("red"), *words)
    assert any(node.startswith("ALG-01") for node in red.of("broken"))
    assert red.exit_code == 1
    assert "BROKEN  ALG-01" in red.output
