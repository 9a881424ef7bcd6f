"""Pipelined and unfinished answers, made up."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.history import Garbage, History
from lbcheck.judges.heads import (
    answer_has,
    answers_pipelined,
    arrives_with,
    arrives_without,
    comes_in_parts,
    left_after_close,
    passes_fields,
    told_of_each,
)
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


def test_what_a_backend_read_as_garbage_was_not_refused_by_the_balancer() -> None:
    """A request that lost its Host on the way is refused by the backend, in the balancer's place."""
    asked = answered(None, status=400)
    for identity, outcome in (("r0", Outcome.BROKEN), ("r01", Outcome.HOLDS)):
        raw = f"GET / HTTP/1.1\r\nLbcheck-Id: {identity}\r\n\r\n".encode()
        history = History([asked, Garbage("a", 1, 0.1, raw, "no Host")])
        assert arrives_with(history, asked, "Host", ["lb.test"], refusable=True).outcome is outcome
        assert arrives_without(history, asked, [("X-Hop", "hop")], refusable=True).outcome is outcome


@pytest.mark.parametrize(
    ("at_backend", "at_client", "outcome"),
    [
        ("Range: bytes=0-9", ("Vary", "Origin,Accept"), Outcome.HOLDS),
        ("range: bytes=0-9", ("vary", "Origin, Accept"), Outcome.HOLDS),
        ("Range: bytes=0-8", ("Vary", "Origin, Accept"), Outcome.BROKEN),
        ("X-Other: 1", ("Vary", "Origin, Accept"), Outcome.BROKEN),
        ("Range: bytes=0-9", ("Vary", "Accept, Origin"), Outcome.BROKEN),
        ("Range: bytes=0-9\r\nRange: bytes=0-9", ("Vary", "Origin, Accept"), Outcome.BROKEN),
    ],
)
def test_fields_get_through_as_they_were_sent(at_backend: str, at_client: tuple[str, str], outcome: Outcome) -> None:
    exchange = answered("a", headers=(("Lbcheck-Backend", "a"), ("Lbcheck-Id", "r0"), at_client))
    history = History(
        [arrival("a", head=f"GET / HTTP/1.1\r\nHost: lb.test\r\n{at_backend}\r\n\r\n".encode()), exchange]
    )
    asked, given = (("Range", "bytes=0-9"),), (("Vary", "Origin, Accept"),)
    assert passes_fields(history, exchange, asked, given).outcome is outcome


@pytest.mark.parametrize(
    ("came", "outcome"),
    [
        (["own=1; Path=/", "theirs=2"], Outcome.HOLDS),  # the balancer's is its own
        (["theirs=2"], Outcome.HOLDS),
        (["own=1; Path=/"], Outcome.BROKEN),
        (["theirs=2", "theirs=2"], Outcome.BROKEN),
    ],
)
def test_a_cookie_of_the_balancers_may_stand_beside_the_backends(came: list[str], outcome: Outcome) -> None:
    exchange = answered("a", headers=(("Lbcheck-Id", "r0"), *(("Set-Cookie", line) for line in came)))
    history = History([arrival("a"), exchange])
    assert passes_fields(history, exchange, (), (("Set-Cookie", "theirs=2"),)).outcome is outcome


def test_each_of_those_that_are_alike_is_told_of() -> None:
    history = History()
    for number, client in enumerate(("127.0.0.1", "127.0.0.2")):
        head = f"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1, {client}\r\n\r\n".encode()
        history.append(arrival("a", number, id="alike", head=head))
    assert told_of_each(history, "alike", ("127.0.0.1", "127.0.0.2")).holds
    assert told_of_each(history, "alike", ("127.0.0.1", "127.0.0.1")).outcome is Outcome.BROKEN
    assert told_of_each(history, "alike", ("127.0.0.1",)).outcome is Outcome.INCONCLUSIVE
