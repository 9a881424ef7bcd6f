"""Repeats from made-up journeys: saved by another backend, not saved, never needed; and counted tries."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.history import Exchange, History
from lbcheck.judges.delivery import cut_at, cut_is_seen, saved_from, tries_as_declared
from lbcheck.verdict import Outcome

from .made import answered, arrival


def journeys(*ways: str) -> tuple[History, list[Exchange]]:
    """Each way: the backends that a request came to; the last one answered."""
    history, sent = History(), []
    for number, way in enumerate(ways):
        for step, name in enumerate(way):
            history.append(arrival(name, number, at=number + step / 10))
        exchange = answered(way[-1], number)
        history.append(exchange)
        sent.append(exchange)
    return history, sent


@pytest.mark.parametrize(
    ("ways", "outcome"),
    [(("ab", "b", "ac"), Outcome.HOLDS), (("ab", "a"), Outcome.BROKEN), (("b", "c"), Outcome.INCONCLUSIVE)],
)
def test_a_failing_backend_is_made_up_for_by_another(ways: tuple[str, ...], outcome: Outcome) -> None:
    history, sent = journeys(*ways)
    assert saved_from(history, sent, "a").outcome is outcome


def test_tries_are_counted_exactly() -> None:
    history, sent = journeys("abc")
    assert [tries_as_declared(history, sent[0], n).holds for n in (2, 3, 4)] == [False, True, False]


@pytest.mark.parametrize(
    ("status", "complete", "outcome"),
    [
        (200, True, Outcome.BROKEN),
        (200, False, Outcome.HOLDS),
        (426, True, Outcome.HOLDS),  # who is not served gets no part either
        (502, True, Outcome.HOLDS),
    ],
)
def test_a_cut_answer_is_cut_or_an_error(status: int, complete: bool, outcome: Outcome) -> None:
    assert cut_is_seen(answered("a", status=status, complete=complete, headers=()), "cut").outcome is outcome


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"done": 2.0, "complete": False}, Outcome.HOLDS),
        ({"done": 1.4, "complete": False}, Outcome.BROKEN),
        ({"done": 2.6, "complete": False}, Outcome.BROKEN),
        ({"done": 2.0, "complete": True}, Outcome.BROKEN),
        ({"first_byte": None, "done": 2.0, "status": None, "complete": False}, Outcome.INCONCLUSIVE),
        ({"first_byte": 1.6, "done": 2.0, "complete": False}, Outcome.INCONCLUSIVE),
    ],
)
def test_an_answer_is_cut_in_time_and_so_that_it_shows(changes: dict[str, Any], outcome: Outcome) -> None:
    assert cut_at(answered("a", **changes), "a delay", earliest=1.5, latest=2.5).outcome is outcome
