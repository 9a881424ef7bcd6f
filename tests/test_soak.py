"""The soak itself: it counts what it meets, goes on where it was left, and its page says what the runs show."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import soak
from .soak import Round


def test_a_small_soak_in_the_simulator_meets_no_alarm(tmp_path: Path) -> None:
    rounds = soak.soak(2, 0, [], tmp_path, checks=["ALG-01", "HTT-07", "STK-05"])
    assert sorted(lap.number for lap in rounds) == [1, 2]
    assert all(set(lap.outcomes) == {"holds"} and lap.outcomes["holds"] >= 3 for lap in rounds)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    before = soak.keep(tmp_path, Round("sim reference", 1, {"holds": 1}))
    rounds = soak.soak(2, 0, [], tmp_path, checks=["ALG-01"])
    assert rounds[0] == before
    assert [lap.number for lap in soak.read(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    ("events", "n", "limit"), [(0, 1000, 0.002991), (0, 20, 0.1391), (1, 20, 0.2161), (20, 20, 1.0)]
)
def test_the_limit_is_the_exact_one(events: int, n: int, limit: float) -> None:
    assert soak.upper_limit(events, n) == pytest.approx(limit, rel=1e-3)


def test_the_page_tells_alarms_and_what_stayed_open() -> None:
    rounds = [
        Round("sim reference", 1, {"holds": 90, "inconclusive": 10}, undecided=("x",)),
        Round("sim reference", 2, {"broken": 1, "holds": 99}, ("ALG-01[a]: expected this; saw that",)),
    ]
    written = soak.page(rounds, "make soak SEEDS=2")
    assert "| sim reference | 2 | 200 | 1 | 0.97 | 10 (5.00%) |" in written
    assert "- sim reference 2: ALG-01[a]: expected this; saw that" in written


@pytest.mark.slow
def test_a_busy_machine_raises_no_alarm(tmp_path: Path) -> None:
    (one,) = soak.soak(0, 1, ["reference"], tmp_path, checks=["ALG-01", "FLO-05", "HLT-03"])
    assert one.broken == ()
    assert one.outcomes.get("holds", 0) >= 1
