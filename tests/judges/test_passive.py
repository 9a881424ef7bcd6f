"""Ejection from made-up requests: who is out, who is still tried, and what is too late to say."""

from __future__ import annotations

import pytest

from lbcheck.judges.balance import prefers_the_sound
from lbcheck.judges.passive import keeps_serving
from lbcheck.verdict import Outcome

from .made import exchanges, history_of


@pytest.mark.parametrize(
    ("sequence", "outcome"),
    [("abcabcacacac", Outcome.HOLDS), ("abcabccccccc", Outcome.BROKEN), ("abc", Outcome.INCONCLUSIVE)],
)
def test_at_most_one_of_two_failing_backends_is_out(sequence: str, outcome: Outcome) -> None:
    verdict = keeps_serving(history_of(sequence), exchanges(sequence), "ab", 1, rounds=6, until=100.0)
    assert verdict.outcome is outcome, verdict.saw


def test_requests_after_an_ejection_say_nothing() -> None:
    verdict = keeps_serving(history_of("abcabcacacac"), exchanges("abcabcacacac"), "ab", 1, rounds=6, until=10.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("sequence", "outcome"),
    [("a" * 60 + "b" * 5, Outcome.HOLDS), ("ab" * 40, Outcome.BROKEN), ("b" * 60, Outcome.BROKEN)],
)
def test_the_sound_backend_is_tried_more_often(sequence: str, outcome: Outcome) -> None:
    assert prefers_the_sound(history_of(sequence), exchanges(sequence), "a", "b").outcome is outcome
