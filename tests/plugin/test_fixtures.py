"""The fixtures for a user's own tests, on a real balancer."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project
from .test_gate import SPEC, free_ports

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

TESTS = """
import pytest
import requests

from lbcheck.backends.script import Answer


def test_lb_joins_relative_urls_and_records(lb, lb_history, lb_stage):
    answer = lb.get("/x?y=1", headers={"X-Mine": "1"})
    assert answer.json()["target"] == "/x?y=1"
    lb_stage.sync()
    (journey,) = lb_history.journeys()
    assert journey.fate.value == "answered"
    assert journey.exchange.body_len == len(answer.content)
    assert journey.exchange.target == "/x?y=1"


def test_lb_shares_its_first_listener_with_the_spec(lb, lb_spec):
    assert lb.base == f"http://127.0.0.1:{lb_spec.listeners[0].port}/"


def test_lb_heeds_no_environment_and_never_sends_twice(lb, lb_stage, lb_history):
    for backend in lb_stage.pool("api").backends:
        backend.answer(Answer(fault="reset"))
    assert lb.post("/").status_code >= 500
    lb_stage.sync()
    (journey,) = lb_history.journeys()
    assert journey.fate.value == "failed"
    assert len(journey.arrivals) == 1


def test_each_test_has_a_history_of_its_own(lb_history):
    assert not lb_history.exchanges
"""


@pytest.fixture
def with_tests(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    public, a, b = free_ports(3)
    root = project.pytester.path
    (root / "lb.yaml").write_text(SPEC.format(public=public, a=a, b=b))
    (root / "test_mine.py").write_text(TESTS)
    (root / "pytest.ini").write_text("[pytest]\nfilterwarnings = error")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return project


@pytest.mark.parametrize("target", ["reference", "haproxy"])
def test_users_tests_run_on_a_balancer(with_tests: Project, target: str) -> None:
    result = with_tests.pytester.runpytest_subprocess(f"--lb-target={target}", "--lb-spec=lb.yaml", "test_mine.py")
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    assert not Path(with_tests.pytester.path, "reports").exists()


def test_without_a_spec_the_fixtures_say_what_they_need(with_tests: Project) -> None:
    result = with_tests.pytester.runpytest_subprocess("--lb-target=reference", "test_mine.py")
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*need --lb-spec=lb.yaml*"])


def test_the_simulator_has_no_sockets_for_requests(with_tests: Project) -> None:
    result = with_tests.pytester.runpytest_subprocess(
        "--lb-target=reference", "--lb-lab=sim", "--lb-spec=lb.yaml", "test_mine.py"
    )
    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(["*the fixture lb needs real sockets*"])
