"""What is installed: suites and fixtures inside the package, nothing else at the top, and a run from it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .runs import whole_run

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_nothing_but_the_package_is_at_the_top(unpacked: Path) -> None:
    top = sorted(path.name for path in unpacked.iterdir())
    assert top[0] == "lbcheck"
    assert all(name == "lbcheck" or name.endswith(".dist-info") for name in top)
    for part in ("suites/alg/test_rotation.py", "fixtures/specs/round-robin.yaml", "py.typed", "report/page/page.html"):
        assert (unpacked / "lbcheck" / part).is_file()


def test_the_bundled_suites_run_from_it(unpacked: Path, tmp_path: Path) -> None:
    run = whole_run(tmp_path, "--lb-target=reference", "--lb-lab=sim", "--lb-only=ALG,RTE", path=str(unpacked))
    assert set(run.outcomes.values()) == {"holds"}
    assert len(run.outcomes) > 40
