"""The command line: what each subcommand says and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lbcheck
from lbcheck.balancer.defects import DEFECTS
from lbcheck.cli import main
from lbcheck.explanation import figures
from lbcheck.plugin.catalogue import everything
from lbcheck.report.outcomes import AREAS


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lbcheck {lbcheck.__version__}\n"


def test_schema_is_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"listeners", "pools"} <= set(schema["properties"])


def test_explain_tells_the_claim_what_catches_it_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "alg-01"]) == 0
    said = capsys.readouterr().out
    check = everything()["ALG-01"]
    assert said.startswith(f"ALG-01  {check.claim}\n")
    assert all(defect in said for defect in check.catches)
    assert f"def {check.function.__name__}(" in said
    assert "lab       sim and up" in said
    flat = " ".join(said.split())
    for name, judgement in check.catches.items():
        assert f"{name} (by {judgement}): {DEFECTS[name].sentence} Modelled on: {DEFECTS[name].source}" in flat
    assert "judged by takes_turns: Sequential requests visit `among` in one fixed cyclic order" in flat


def test_explain_gives_the_figures_of_a_statistical_check(capsys: pytest.CaptureFixture[str]) -> None:
    check = everything()["RTE-16"]
    assert main(["explain", "RTE-16"]) == 0
    flat = " ".join(capsys.readouterr().out.split())
    (first, *_) = figures(check)
    assert f"figures {first}" in flat
    assert "shares_fit" in first
    assert list(figures(everything()["FLO-07"])) == []


def test_explain_lists_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(everything())
    areas = {check.area for check in everything().values()}
    assert [line for line in lines if line and not line.startswith("  ")] == [AREAS[a] for a in AREAS if a in areas]


def test_every_check_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(main(["explain", name]) == 0 for name in everything())
    assert "Traceback" not in capsys.readouterr().out


def test_explain_of_an_unknown_check_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "ALGO-01"]) == 4
    assert "there is no check 'ALGO-01'\n  did you mean ALG-01?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["judge"], ["doctor", "more"]])
def test_what_does_not_exist_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_serve_hands_its_words_to_the_balancer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for what in ("python", "loopback", "low ports", "sealed lab", "docker client", "docker engine", "reference"):
        assert any(line[4:].startswith(what) for line in said.splitlines()), what


def test_the_command_is_installed_and_starts_light() -> None:
    program = "import sys, lbcheck.cli; print(sorted({'asyncio', 'pytest', 'yaml', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
