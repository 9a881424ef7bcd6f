"""run.json: its shape is a contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbcheck.report.json import TEXT, document
from lbcheck.report.model import CheckRecord, Environment, Judgement, Run, record_from_json, run_from_json

from .hostile_run import hostile
from .sample_run import gate, sample

GOLDEN = Path(__file__).parent / "golden" / "run.json"

SMALL = Run(
    "gate",
    "NOT CONFORMANT: 1 claim broken",
    1,
    Environment(lbcheck="0.1.0", target="examplelb", config=["lb.cfg"], spec="lb.yaml", slack_s=0.004, seed=7),
    [
        CheckRecord(
            "ALG-01", "ALG-01[api]", "Round robin gives every healthy backend its turn.", "ALG", "core", "broken",
            judgements=[Judgement("takes_turns", "broken", "turns", "none", {"n": 60, "counts": {"a": 60}}, ["c-1"])],
            timeline={"lanes": ["a"], "requests": [[0.1, 0, "answered"]]},
        ),
        CheckRecord("FLO-09", "FLO-09[api]", "A drain is clean.", "FLO", "core", "unsupported", features=["drain"]),
    ],
    ["STK-01"],
    "2026-11-23T09:00:00+00:00",
    1.25,
)  # fmt: skip


def test_the_shape_is_the_golden_one() -> None:
    assert document(SMALL) == GOLDEN.read_text(encoding="utf-8")


def test_a_record_comes_back_whole() -> None:
    data = json.loads(document(sample()))
    assert [record_from_json(check) for check in data["checks"]] == sample().checks
    assert data["counts"] == sample().counts()
    assert data["schema"] == "lbcheck-run/1"


@pytest.mark.parametrize("run", [sample(), gate()])
def test_a_whole_run_comes_back(run: Run) -> None:
    assert run_from_json(json.loads(document(run))) == run


def test_what_an_older_version_wrote_is_read() -> None:
    data = json.loads(document(sample()))
    for name in ("coverage", "differences", "narrowed"):
        del data[name]
    assert run_from_json(data) == sample()


def test_a_run_without_checks_is_json_too() -> None:
    assert json.loads(document(Run("battery", "", 11, Environment(), [])))["checks"] == []


def test_hostile_text_is_ascii_json_and_bounded() -> None:
    text = document(hostile())
    assert text.isascii()
    assert json.loads(text)["checks"][0]["claim"] == hostile().checks[0].claim.replace("\ud800\udfff", "\ufffd" * 2)
    huge = json.loads(document(hostile("x" * 1_000_000)))
    assert len(huge["headline"]) < TEXT + 100


def test_figures_beyond_json_become_words() -> None:
    figures = {"nan": float("nan"), "endless": float("inf"), "deep": [[[]]], "odd": {1: (2, 3)}, "set": frozenset({4})}
    record = CheckRecord(
        "A-1", "A-1[a]", "c", "A", "core", "holds", judgements=[Judgement("j", "holds", "", "", figures)]
    )
    data = json.loads(document(Run("battery", "", 0, Environment(), [record])))
    assert data["checks"][0]["judgements"][0]["figures"] == {
        "nan": "nan", "endless": "inf", "deep": [[[]]], "odd": {"1": [2, 3]}, "set": "frozenset({4})",
    }  # fmt: skip


def test_a_bottomless_figure_has_a_bottom() -> None:
    figures: dict[str, object] = {}
    for _ in range(100):
        figures = {"deeper": figures}
    record = CheckRecord("A-1", "A-1[a]", "c", "A", "core", "holds", timeline=figures)
    assert "..." in document(Run("battery", "", 0, Environment(), [record]))
