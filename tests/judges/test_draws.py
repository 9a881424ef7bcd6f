"""Verdicts on draws, with their figures."""

from __future__ import annotations

import random

import pytest

from lbcheck.judges.draws import enough, picks_are_independent, shares_fit
from lbcheck.judges.sequential import PicksTest, SharesTest
from lbcheck.judges.statistics import ALPHA, POWER
from lbcheck.verdict import Outcome

from .made import answered, exchanges

pytestmark = pytest.mark.fast

NAMES = "abcd"
EVEN = dict.fromkeys(NAMES, 0.25)
EFFECT = 0.15
DRAWN = exchanges(random.Random(5).choices(NAMES, k=800))
ROTATION = exchanges([NAMES[i % 4] for i in range(800)])


def test_draws_hold_and_a_rotation_is_not_independent() -> None:
    assert shares_fit(DRAWN, EVEN, EFFECT).holds
    assert picks_are_independent(DRAWN, EVEN).holds
    assert shares_fit(ROTATION, EVEN, EFFECT).holds
    assert picks_are_independent(ROTATION, EVEN).outcome is Outcome.BROKEN


def test_figures_say_what_can_be_detected() -> None:
    verdict = shares_fit(DRAWN, EVEN, EFFECT)
    test = SharesTest(EVEN, EFFECT)
    ended = test.run([e.backend or "" for e in DRAWN])
    assert verdict.figures["n"] == ended.n == sum(verdict.figures["counts"].values()) < len(DRAWN)
    assert [verdict.figures[x] for x in ("most", "alpha", "detects", "power")] == [test.most, ALPHA, EFFECT, POWER]
    assert verdict.figures["share"] == EVEN


def test_a_wrong_share_is_found() -> None:
    draws = random.Random(7).choices("ab", (0.55, 0.45), k=1000)
    verdict = shares_fit(exchanges(draws), {"a": 0.7, "b": 0.3}, EFFECT)
    assert verdict.outcome is Outcome.BROKEN
    assert verdict.figures["ratio"] > 1 / ALPHA


def test_backends_stand_for_their_pools() -> None:
    of = {"a": "blue", "b": "blue", "c": "green", "d": "green"}
    assert shares_fit(DRAWN, {"blue": 0.5, "green": 0.5}, EFFECT, of=of).holds
    stranger = shares_fit(DRAWN, {"blue": 1.0}, EFFECT, of=of)
    assert stranger.outcome is Outcome.BROKEN
    assert stranger.figures["counts"]["green"] == 1


def test_too_few_decide_nothing() -> None:
    few = DRAWN[:20]
    verdict = shares_fit(few, EVEN, EFFECT)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.saw.endswith(f"of 20: too few to tell, {SharesTest(EVEN, EFFECT).most} always do")
    assert picks_are_independent(few, EVEN).outcome is Outcome.INCONCLUSIVE
    assert not enough(few, SharesTest(EVEN, EFFECT), PicksTest(EVEN))
    assert enough(DRAWN, SharesTest(EVEN, EFFECT), PicksTest(EVEN))
    assert enough(ROTATION[:100], PicksTest(EVEN))
    assert not enough(ROTATION[:100], SharesTest(EVEN, EFFECT), PicksTest(EVEN))  # the other has to be told as well


def test_a_request_that_nobody_answered_ends_it() -> None:
    lost = answered(None, 900, status=None, complete=False, error="reset")
    assert enough([*DRAWN[:10], lost], SharesTest(EVEN, EFFECT))
    verdict = shares_fit([*DRAWN[:10], lost], EVEN, EFFECT)
    assert (verdict.outcome, verdict.rests_on) == (Outcome.BROKEN, "losses")
