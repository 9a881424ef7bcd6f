"""The demo: a real red run told as a run tells it, then the same checks green."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbcheck import demo
from lbcheck.balancer.defects import DEFECTS
from lbcheck.cli import main
from lbcheck.report import summary
from lbcheck.report.model import record_from_json

pytestmark = pytest.mark.slow

README = Path(__file__).parent.parent / "README.md"


def run_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())  # type: ignore[no-any-return]


def test_a_red_run_is_shown_and_then_a_green_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LBCHECK_TARGET", "nginx")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --more-nonsense\nlb_spec = none.yaml\n")
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    red, green = run_of(tmp_path / "lbcheck-demo"), run_of(tmp_path / "lbcheck-demo" / "correct")
    broken = [record_from_json(each) for each in red["checks"] if each["outcome"] == "broken"]
    assert summary.failure(broken[0], "lbcheck-demo/") in said
    assert f"BROKEN  {broken[0].id}  {broken[0].claim}   [core]\n  claimed" in said
    assert all(record.node in said for record in broken)
    assert f"\n{red['headline']}\n" in said
    assert f"\n{green['headline']}\n" in said
    assert {each["outcome"] for each in green["checks"]} == {"holds"}
    assert DEFECTS[demo.DEFECT].sentence[1:] in said
    for line in said.splitlines():
        for word in line.split():
            if word.startswith("lbcheck-demo/"):
                assert (tmp_path / word).exists()

    commands = [line.split("#")[0].split() for line in README.read_text().splitlines() if "lbcheck judge lbch" in line]
    assert [(tmp_path / words[2]).is_file() for words in commands] == [True]
    history = next(word for word in said.split() if word.endswith("/history.jsonl"))
    assert main(["judge", history]) == 1
    assert "BROKEN: 1 judgement, all as then" in capsys.readouterr().out


def test_another_defect(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--defect", "turn-skipped", "--report-dir", "mine"]) == 0
    assert "ALG-01" in capsys.readouterr().out
    assert (tmp_path / "mine" / "index.html").is_file()


def test_an_unknown_defect_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--defect", "turn-skiped"]) == 4
    assert "called 'turn-skiped'\n  did you mean turn-skipped" in capsys.readouterr().err


def test_every_defect_that_a_check_names_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(demo.catching())
    assert demo.DEFECT in demo.catching()
    assert all(
        check.id in line for line, checks in zip(lines, demo.catching().values(), strict=True) for check in checks
    )


def test_a_demo_that_shows_nothing_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--report-dir", str(tmp_path / "file")]) == 1
    assert "lbcheck: no run with its report in" in capsys.readouterr().err
    known = demo.catching()
    monkeypatch.setattr(demo, "catching", lambda: {"turn-skipped": known["post-repeated"]})
    monkeypatch.setitem(known["post-repeated"][0].catches, "turn-skipped", "never_repeated")  # type: ignore[arg-type]
    assert main(["demo", "--defect", "turn-skipped", "--report-dir", str(tmp_path / "green")]) == 1
    assert "expected a broken verdict of FLO-07 on turn-skipped, got: KEPT" in capsys.readouterr().err
