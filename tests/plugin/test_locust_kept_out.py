"""locust's own pytest plugin does not reach a user's tests, in whichever order entry points load."""

from __future__ import annotations

import importlib.metadata

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

CONFTEST = "def pytest_addoption(parser): parser.addoption('--host', '-H', default='mine')"
USER = """
import pytest

def test_host_is_the_users(request):
    assert request.config.getoption("--host") == "mine"

@pytest.mark.parametrize("name", ["session", "fastsession"])
def test_no_fixture_of_locust(request, name):
    with pytest.raises(pytest.FixtureLookupError):
        request.getfixturevalue(name)

def test_it_is_not_registered(request):
    assert not request.config.pluginmanager.has_plugin("locust")
"""
ORDERS = {
    "ours first": ("-p", "lbcheck"),
    "locust first": ("-p", "locust"),
    "as entry points come": (),
}


def test_locust_has_such_a_plugin() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group="pytest11")}
    assert {"locust", "lbcheck"} <= names


@pytest.mark.parametrize("words", ORDERS.values(), ids=ORDERS)
def test_it_is_kept_out(pytester: pytest.Pytester, words: tuple[str, ...]) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(USER)
    result = pytester.runpytest_subprocess(*words)
    result.assert_outcomes(passed=4)
    assert "locust" not in result.stdout.str()


def test_who_wants_it_can_have_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("pytest_plugins = ['pytest_locust.plugin']")
    pytester.makepyfile(
        "def test_fixture(request): assert request.fixturenames is not None\ndef test_it(session): pass"
    )
    result = pytester.runpytest_subprocess("--fixtures-per-test")
    assert "session" in result.stdout.str()
