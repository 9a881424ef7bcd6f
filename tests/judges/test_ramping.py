"""Ramps from made-up arrivals: too much at once, nothing at all, too few to say."""

from __future__ import annotations

import pytest

from lbcheck.history import History
from lbcheck.judges.ramping import (
    begins_at_the_least,
    others_keep_shares,
    ramps,
    requests_of_others,
    requests_to_see,
    requests_to_see_least,
    share_at,
)
from lbcheck.spec.model import Backend, Pool
from lbcheck.verdict import Outcome

from .made import arrival

POOL = Pool("web", (Backend("a"), Backend("b")), slow_start=3.0)


def arrivals(rate: float, one_in: int) -> History:
    """Every `one_in`-th request of three seconds goes to `a`."""
    history = History()
    for number in range(round(3 * rate)):
        history.append(arrival("a" if number % one_in == 0 else "b", number, at=10 + number / rate))
    return history


@pytest.mark.parametrize(
    ("rate", "one_in", "outcome"),
    [(200, 10, Outcome.HOLDS), (200, 2, Outcome.BROKEN), (200, 10_000, Outcome.HOLDS), (20, 10, Outcome.INCONCLUSIVE)],
)
def test_a_share_below_the_full_one_at_first(rate: float, one_in: int, outcome: Outcome) -> None:
    assert ramps(arrivals(rate, one_in), POOL, "a", 10.0, 0.5).outcome is outcome


def test_nothing_at_all_is_no_ramp() -> None:
    verdict = ramps(arrivals(200, 10_000), POOL, "a", 10.001, 0.5)
    assert verdict.outcome is Outcome.BROKEN
    assert "0 of" in verdict.saw
    assert ramps(arrivals(200, 10_000), POOL, "a", 10.001, 0.5, from_nothing=True).holds


def test_the_share_by_the_formula() -> None:
    assert share_at(0.5, 1.0) == 0.5
    assert share_at(0.5, 1 / 20) == pytest.approx(1 / 21)
    assert share_at(0.75, 0.5) == pytest.approx(0.6)
    assert 50 < requests_to_see(0.5) < 200


WEIGHTS = {"a": 2, "b": 3, "c": 1}


@pytest.mark.parametrize(
    ("turns", "outcome"),
    [("abbbc", Outcome.HOLDS), ("bcbb", Outcome.HOLDS), ("abc", Outcome.BROKEN), ("abb", Outcome.BROKEN)],
)
def test_the_others_share_by_weight(turns: str, outcome: Outcome) -> None:
    history = History()
    for number in range(900):
        history.append(arrival(turns[number % len(turns)], number, at=10 + number / 100))
    assert others_keep_shares(history, WEIGHTS, "a", 10.0).outcome is outcome
    assert others_keep_shares(history, WEIGHTS, "a", 18.0).outcome is Outcome.INCONCLUSIVE


def test_one_other_alone_has_all_the_rest() -> None:
    assert requests_of_others({"a": 1, "b": 5}, "a") == 0
    assert requests_of_others(WEIGHTS, "a") > 150


@pytest.mark.parametrize(
    ("rate", "turns", "outcome"),
    [
        (400, "ab", Outcome.HOLDS),
        (400, "aaab", Outcome.HOLDS),
        (400, "abbbb", Outcome.BROKEN),
        (400, "b", Outcome.BROKEN),
        (50, "ab", Outcome.INCONCLUSIVE),
    ],
)
def test_the_least_share(rate: float, turns: str, outcome: Outcome) -> None:
    pool, history = Pool("web", (Backend("a", weight=19), Backend("b")), slow_start=30.0), History()
    for number in range(600):
        history.append(arrival(turns[number % len(turns)], number, at=10 + number / rate))
    assert begins_at_the_least(history, pool, "a", 10.0, 0.95, grace=0.1).outcome is outcome


def test_a_ramp_that_begins_late_is_judged_from_its_first_request() -> None:
    pool, history = Pool("web", (Backend("a", weight=19), Backend("b")), slow_start=30.0), History()
    for number in range(300):
        history.append(arrival("ab"[number % 2] if number > 30 else "b", number, at=10 + number / 400))
    assert begins_at_the_least(history, pool, "a", 10.0, 0.95, grace=0.1).holds
    assert requests_to_see_least(0.95) < 200 < requests_to_see_least(0.5)
