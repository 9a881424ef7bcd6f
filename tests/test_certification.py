"""`lbcheck certify` runs the battery on each balancer and tells what changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lbcheck.cli import main

pytestmark = pytest.mark.slow


def test_balancers_are_certified_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["certify", "reference", "haproxy", "--only", "ALG-01,ALG-14", "--report-dir", "out"]
    assert main(words) == 0
    assert "written    out/balancers.md" in capsys.readouterr().out
    assert {"index.html", "certificate.json", "haproxy", "reference"} <= {p.name for p in Path("out").iterdir()}
    found = yaml.safe_load(Path("out/outcomes.yaml").read_text())
    haproxy = next(name for name in found if name.startswith("haproxy "))
    assert found[haproxy] == {"ALG-01": "holds", "ALG-14": "broken"}
    found[haproxy]["ALG-14"] = "holds"
    Path("expected.yaml").write_text(yaml.safe_dump(found))
    assert main([*words, "--expected", "expected.yaml"]) == 1
    assert f"{haproxy}: ALG-14 was expected to be holds, and is broken" in capsys.readouterr().out


def test_a_command_is_certified_in_a_folder_that_a_page_can_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = Path(__file__).parent.parent / "docs" / "examples" / "balancer.mjs"
    (tmp_path / "lb.mjs").symlink_to(example)
    words = ["certify", "exec:node lb.mjs", "--only", "ALG-01,ALG-06", "--features=-least-connections"]
    assert main([*words, "--report-dir", "out"]) == 0
    capsys.readouterr()
    assert yaml.safe_load(Path("out/outcomes.yaml").read_text()) == {
        "exec:node lb.mjs": {"ALG-01": "holds", "ALG-06": "unsupported"}
    }
    assert Path("out/exec-node-lb.mjs/index.html").is_file()
    assert "exec-node-lb.mjs/index.html" in Path("out/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["reference", "reference"], "named twice"),
        (["refrence"], "did you mean reference"),
        (["exec:nowhere-lb"], "expected 'nowhere-lb' to be a program"),
        (["exec:true", "--features=-darin"], "did you mean drain?"),
        (["haproxy", "--features=-drain"], "it is about commands, and none is named"),
        (["reference", "--only", "ALG-01", "--expected", "nothing.yaml"], "cannot be read"),
    ],
)
def test_what_cannot_be_certified_is_told(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["certify", *words]) == 4
    assert told in capsys.readouterr().err
