"""`pytest --lb-target=X` judges the bundled suites wherever it is called, whatever else is in the folder."""

from __future__ import annotations

import shutil

import pytest

from lbcheck.plugin import catalogue

from .conftest import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ONLY = "--lb-only=ALG-01"  # one quick check of the bundled suites
HOSTILE_INI = """
[pytest]
addopts = --strict-config --strict-markers -k nothing_is_called_so -m nor_this --doctest-modules -p no:cacheprovider
    --no-such-option=1 --lb-level=core --import-mode=importlib --deselect ALG-01 tests
testpaths = tests
python_files = *.txt
python_functions = never
norecursedirs = * suites alg
filterwarnings = error
usefixtures = not_there
no_such_key = 1
"""


def assert_judged(project: Project, result: pytest.RunResult) -> None:
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert set(project.outcomes().values()) == {"holds"}
    assert all(node.startswith("ALG-01[") for node in project.outcomes())


def test_an_empty_folder(project: Project) -> None:
    (project.pytester.path / "lb.yaml").unlink()
    assert_judged(project, project.run(ONLY, own=False))


def test_a_folder_of_traps(project: Project) -> None:
    root = project.pytester.path
    (root / "conftest.py").write_text("raise RuntimeError('a broken conftest')")
    (root / "pytest.ini").write_text(HOSTILE_INI)
    for name in ("suites", "lbcheck_suites", "alg", "tests"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text("raise RuntimeError('a user module')")
        (root / name / "conftest.py").write_text("raise RuntimeError('another broken conftest')")
        (root / name / "test_mine.py").write_text("def test_mine(): raise RuntimeError('a user test')")
    (root / "test_rotation.py").write_text("raise RuntimeError('a module named as one of ours')")
    result = project.run(ONLY, own=False)
    assert_judged(project, result)
    assert "user" not in result.stdout.str()


@pytest.mark.parametrize("words", [("-W", "error"), ("-n", "2"), ("-v",), ("-q",), ("-p", "no:cacheprovider")])
def test_words_of_the_command_line(project: Project, words: tuple[str, ...]) -> None:
    (project.pytester.path / "pytest.ini").write_text(HOSTILE_INI)
    assert_judged(project, project.run(ONLY, *words, own=False))


def test_python_that_makes_every_warning_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    assert_judged(project, project.run(ONLY, own=False))


def test_a_cache_that_cannot_be_made(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.pytester.path
    (root / ".pytest_cache").write_text("a file where pytest wants a folder")
    (root / "sub").mkdir()
    monkeypatch.chdir(root / "sub")
    result = project.run(ONLY, f"--lb-report-dir={root / 'reports'}", own=False)
    assert_judged(project, result)


def test_a_path_into_the_bundled_suites_is_no_path_of_the_user(project: Project) -> None:
    (project.pytester.path / "conftest.py").write_text("raise RuntimeError('a broken conftest')")
    area = catalogue.suites_folder() / "alg"
    result = project.run(ONLY, str(area), own=False)
    assert_judged(project, result)
    assert "RTE" not in result.stdout.str()


def test_target_and_settings_come_from_the_ini_file_too(project: Project) -> None:
    (project.pytester.path / "pytest.ini").write_text(
        "[pytest]\nlb_target = reference\nlb_lab = sim\nlb_only = ALG-01 ALG-02\nlb_seed = 3\nlb_report_dir = out"
    )
    result = project.pytester.runpytest_subprocess("--lb-seed=4")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lbcheck *target reference*lab sim*seed 4", "report    out/index.html"])


def test_the_environment_wins_over_the_ini_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.pytester.path / "pytest.ini").write_text("[pytest]\nlb_target = haproxy\nlb_lab = sim\nlb_seed = 3")
    monkeypatch.setenv("LBCHECK_TARGET", "reference")
    monkeypatch.setenv("LBCHECK_ONLY", "ALG-01")
    result = project.pytester.runpytest_subprocess("--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lbcheck *target reference*lab sim*seed 3", "plan: 1 check*"])


def test_with_a_path_the_users_own_configuration_stands(project: Project) -> None:
    root = project.pytester.path
    (root / "pytest.ini").write_text("[pytest]\npython_functions = check_*\nfilterwarnings = error")
    (root / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef mine(): return 1")
    (root / "own").mkdir()
    (root / "own" / "test_mine.py").write_text("def check_mine(mine): assert mine == 1\ndef test_not(): assert 0")
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    assert not (root / "reports").exists()  # nothing of it was a check


def test_suites_ship_inside_the_package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As installed from a wheel: `lbcheck/suites` and `lbcheck/fixtures`, and no checkout around."""
    site = project.pytester.path / "site"
    package = catalogue.suites_folder().parent / "lbcheck"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, site / "lbcheck", ignore=leave)
    for name in ("suites", "fixtures"):
        shutil.copytree(package.parent / name, site / "lbcheck" / name, ignore=leave)
    monkeypatch.setenv("PYTHONPATH", str(site))
    result = project.run(ONLY, own=False)
    assert_judged(project, result)
    assert (
        "lbcheck/suites"
        in project.pytester.runpython_c(
            "from lbcheck.plugin.catalogue import suites_folder; print(suites_folder())"
        ).stdout.str()
    )


def test_no_bundled_module_takes_a_name_that_a_user_could_have(pytester: pytest.Pytester) -> None:
    said = pytester.runpython_c(
        "import sys; from lbcheck.plugin.catalogue import everything\n"
        "before = set(sys.modules); everything()\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before if 'test_' in name}))"
    )
    said.stdout.fnmatch_lines(["['lbcheck']"])
