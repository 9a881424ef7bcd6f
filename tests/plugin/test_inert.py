"""Without a target the plugin does nothing, and loads next to nothing."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.fast

LISTING = """
import sys

def test_listing():
    with open("modules.txt", "w") as out:
        out.write("\\n".join(sorted(sys.modules)))
"""
LIGHT = {"lbcheck", "lbcheck.plugin", "lbcheck.plugin.locust_pytest", "lbcheck.plugin.options"}


def modules(pytester: pytest.Pytester, *words: str) -> set[str]:
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:hypothesispytest", *words)
    assert result.ret == 0
    return set((pytester.path / "modules.txt").read_text().split())


def test_it_adds_its_own_few_modules_and_no_others(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LISTING)
    without, with_plugin = modules(pytester, "-p", "no:lbcheck"), modules(pytester)
    # pytest_locust is loaded by its own entry point where ours does not block it first.
    assert with_plugin - without - {"pytest_locust", "pytest_locust.plugin"} == LIGHT


def test_users_tests_run_and_nothing_is_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine(): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert "lbcheck 0" not in result.stdout.str()
    assert not (pytester.path / "reports").exists()


def test_help_shows_the_options_and_nothing_hidden(pytester: pytest.Pytester) -> None:
    said = pytester.runpytest_subprocess("--help").stdout.str()
    assert "--lb-target=NAME" in said
    assert "LBCHECK_TARGET" in said
    assert "--lb-defect" not in said
