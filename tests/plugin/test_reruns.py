"""Plugins that run failures again are best of k: refused for checks."""

from __future__ import annotations

import pytest

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

# As pytest-rerunfailures declares its option; the refusal is about the option, not about the package.
PLUGIN = "def pytest_addoption(parser): parser.addoption('--reruns', type=int, default=None)"


@pytest.mark.parametrize("own", [True, False])
def test_refused(project: Project, monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    project.own("holds")
    (project.pytester.path / "again.py").write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(project.pytester.path))
    result = project.run("-p", "again", "--reruns=2", own=own)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*checks are never repeated until they pass*", "*leave --reruns out*"])
