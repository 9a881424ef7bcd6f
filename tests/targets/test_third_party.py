"""A package of somebody else's is built, put where packages are, and judged as any product is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.runs import WholeRun, whole_run

pytestmark = pytest.mark.slow
TINY = Path(__file__).parent / "tiny"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds tiny alone."""
    folder = tmp_path_factory.mktemp("tiny")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=TINY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def judged(site: Path, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    ids = "--lb-only=ALG-01,ALG-02,ALG-06"
    return whole_run(tmp_path_factory.mktemp("judged"), "--lb-target=tiny", ids, path=str(site))


def test_it_is_judged_by_its_name_and_version(judged: WholeRun) -> None:
    environment = judged.record["environment"]
    assert (environment["target"], environment["target_version"]) == ("tiny", "1.0")
    assert {outcome for node, outcome in judged.outcomes.items() if node.startswith("ALG-01")} == {"holds"}


def test_what_it_lacks_is_unsupported_in_its_own_words(judged: WholeRun) -> None:
    reasons = {check["reason"] for check in judged.record["checks"] if check["id"] in ("ALG-02", "ALG-06")}
    assert reasons == {"tiny hands connections on in turn, and no more"}


def told(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What `lbcheck` or pytest says, with the folder among its packages."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run([sys.executable, "-m", *words], env=environment, capture_output=True, text=True, timeout=60)


def test_doctor_finds_it(site: Path) -> None:
    lines = told(site, "lbcheck.cli", "doctor").stdout.splitlines()
    assert [line.split()[:3] for line in lines if "tiny" in line] == [["ok", "tiny", "1.0"]]


def test_an_entry_point_that_leads_nowhere_is_told_with_its_remedy(site: Path, tmp_path: Path) -> None:
    info = tmp_path / "broken_lb-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-lb\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lbcheck.targets]\nbroken = tiny_lb:Nothing\nabsent = no_such_module:X\n")
    both = Path(f"{tmp_path}{os.pathsep}{site}")
    run = told(both, "pytest", "--lb-target=broken")
    assert run.returncode == 4
    assert "target broken: its package names tiny_lb:Nothing, which cannot be loaded" in run.stderr
    assert "install the package again, or correct its entry point" in run.stderr
    doctor = told(both, "lbcheck.cli", "doctor").stdout
    assert "absent           target absent: its package names no_such_module:X" in doctor
