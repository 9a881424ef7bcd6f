"""Pipelined and unfinished answers, made up."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.history import History
from lbcheck.judges.heads import answer_has, answers_pipelined, arrives_with, comes_in_parts, left_after_close
from lbcheck.verdict import Outcome

from .made import answered, arrival

NOTHING: dict[str, Any] = {"status": None, "complete": False, "headers": ()}


def pipelined(*errors: str | None) -> Outcome:
    """Requests of one connection; an error in the place of an answer."""
    history, sent = History(), []
    for number, error in enumerate(errors):
        exchange = answered("a", number) if error is None else answered("a", number, error=error, **NOTHING)
        history.append(arrival("a", number))
        history.append(exchange)
        sent.append(exchange)
    return answers_pipelined(history, sent).outcome


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ((None, None, None), Outcome.HOLDS),
        ((None, "closed", "closed"), Outcome.HOLDS),
        ((None, "timeout", "timeout"), Outcome.BROKEN),
        (("closed", "closed", "closed"), Outcome.BROKEN),
    ],
)
def test_an_open_connection_owes_every_answer(errors: tuple[str | None, ...], outcome: Outcome) -> None:
    assert pipelined(*errors) is outcome


def test_a_part_that_was_sent_has_to_be_there() -> None:
    assert comes_in_parts(answered("a", complete=False, error="timeout", body_len=60)).outcome is Outcome.HOLDS
    assert comes_in_parts(answered("a", complete=False, error="timeout", body_len=0)).outcome is Outcome.BROKEN
    assert comes_in_parts(answered("a", body_len=120)).outcome is Outcome.INCONCLUSIVE


def test_a_field_that_was_set_has_to_be_there_once() -> None:
    signature = (("Lbcheck-Backend", "a"), ("Lbcheck-Id", "r0"))
    for more, outcome in (
        ((("content-encoding", "gzip"),), Outcome.HOLDS),
        ((), Outcome.BROKEN),
        ((("content-encoding", "gzip"),) * 2, Outcome.BROKEN),
    ):
        assert answer_has(answered("a", headers=(*signature, *more)), "Content-Encoding", "gzip").outcome is outcome


def test_one_request_a_connection_where_each_answer_says_close() -> None:
    sent, history = [answered("a", 0), answered("a", 1)], History()
    assert left_after_close(history, sent).outcome is Outcome.INCONCLUSIVE
    history.append(arrival("a", 0, connection=1))
    history.append(arrival("a", 1, connection=2))
    assert left_after_close(history, sent).holds
    again = History()
    again.append(arrival("a", 0, connection=1))
    again.append(arrival("a", 1, connection=1, index=1))
    assert left_after_close(again, sent).outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    ("status", "arrives", "refusable", "outcome"),
    [
        (400, False, True, Outcome.HOLDS),
        (400, True, True, Outcome.BROKEN),
        (400, False, False, Outcome.BROKEN),
        (502, False, True, Outcome.BROKEN),
    ],
)
def test_a_request_that_may_be_refused_is_refused_before_it_arrives(
    status: int, arrives: bool, refusable: bool, outcome: Outcome
) -> None:
    history, refused = History(), answered("a", status=status, headers=())
    if arrives:
        history.append(arrival("a"))
    history.append(refused)
    assert arrives_with(history, refused, "X-Forwarded-For", ["127.0.0.1"], refusable).outcome is outcome
