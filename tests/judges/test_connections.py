"""Made-up connections: answers that end where they should, and such that do not."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.history import Exchange, History
from lbcheck.judges.connections import (
    answered_before_refusal,
    arrives_plainly,
    closes_when_told,
    ends_at_its_frame,
    given_up_when_idle,
    interim_in_order,
    kept_until_idle,
    readable_by_old,
    refused_in_mid_head,
    stays_as_said,
)
from lbcheck.verdict import Outcome

from .made import answered, arrival

ENDED: dict[str, Any] = {"status": None, "complete": False, "headers": ()}
CLOSED, GARBAGE, LATE = ({**ENDED, "error": error} for error in ("closed", "garbage", "timeout"))
KEPT = (("Connection", "keep-alive"), ("Lbcheck-Backend", "a"), ("Lbcheck-Id", "r0"))


def own(status: int, **changes: Any) -> Exchange:
    return answered(None, status=status, **changes)


@pytest.mark.parametrize(
    ("first", "then", "holds"),
    [
        (own(502), answered("a", 1), True),
        (own(502), answered(None, 1, **CLOSED), True),
        (own(502), answered(None, 1, **GARBAGE), False),
        (own(502), answered(None, 1, **LATE), False),
        (own(500), answered("a", 1), False),
        (own(502, complete=False, error="cut"), answered("a", 1), False),
        (answered("a", status=502), answered("a", 1), False),
    ],
)
def test_what_follows_an_own_answer_begins_after_it(first: Exchange, then: Exchange, holds: bool) -> None:
    assert ends_at_its_frame([first, then], {502, 503}, "HEAD").holds is holds


def test_what_comes_after_the_last_request_is_not_processed() -> None:
    history, first = History(), answered("a")
    history.append(arrival("a"))
    history.append(first)
    assert closes_when_told(history, [first], "r1", "close").holds
    assert not closes_when_told(history, [first, answered("a", 1)], "r1", "close").holds
    assert not closes_when_told(history, [answered(None, **CLOSED)], "r1", "close").holds
    assert closes_when_told(history, [own(426)], "r1", "close").holds
    assert not closes_when_told(history, [own(502)], "r1", "close").holds
    history.append(arrival("a", 1))
    assert not closes_when_told(history, [first], "r1", "close").holds


@pytest.mark.parametrize(
    ("headers", "then", "holds"),
    [
        (KEPT, answered("a", 1), True),
        (KEPT[1:], answered(None, 1, **CLOSED), True),
        (KEPT[1:], answered("a", 1), False),
        (KEPT[1:], answered(None, 1, **LATE), False),
        (KEPT, answered(None, 1, **LATE), False),
    ],
)
def test_a_connection_stays_and_says_so_or_ends(headers: Any, then: Exchange, holds: bool) -> None:
    history, first = History(), answered("a", headers=headers)
    for event in (arrival("a"), first, arrival("a", 1), then):
        history.append(event)
    assert stays_as_said(history, [first, then], "keep-alive").holds is holds


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"interim": (103,)}, False),
        ({"headers": (("Transfer-Encoding", "chunked"),)}, False),
        ({"body": b"4\r\nbody\r\n0\r\n\r\n"}, False),
        ({"complete": False}, False),
    ],
)
def test_an_old_client_reads_a_plain_body(changes: dict[str, Any], holds: bool) -> None:
    assert readable_by_old(answered("a", **{"body": b"body", **changes}), b"body", "HTTP/1.0").holds is holds


@pytest.mark.parametrize(
    ("interim", "status", "holds"),
    [((102, 103), 200, True), ((), 200, True), ((103,), 200, True), ((103, 102), 200, False), ((102,), None, False)],
)
def test_interim_answers_keep_their_order(interim: tuple[int, ...], status: int | None, holds: bool) -> None:
    changes: dict[str, Any] = {"interim": interim} if status else {"interim": interim, **CLOSED}
    assert interim_in_order(answered("a", **changes), (102, 103)).holds is holds


def test_one_ahead_is_answered_and_nothing_behind_a_refusal_is_processed() -> None:
    history, first = History(), answered("a")
    history.append(arrival("a"))
    history.append(first)
    ids = ("r1", "r2")
    assert answered_before_refusal(history, [first, own(400)], ids, "bad").holds
    assert answered_before_refusal(history, [first, answered(None, 1, **CLOSED)], ids, "bad").holds
    assert not answered_before_refusal(history, [first, own(400), answered("a", 2)], ids, "bad").holds
    assert not answered_before_refusal(history, [own(400)], ids, "bad").holds
    history.append(arrival("a", 2))
    assert not answered_before_refusal(history, [first, own(400)], ids, "bad").holds


@pytest.mark.parametrize(
    ("target", "host", "holds"), [("/", "lb.test", True), ("/x", "lb.test", False), ("/", "other.test", False)]
)
def test_a_target_and_its_host_arrive_plainly(target: str, host: str, holds: bool) -> None:
    history, first = History(), answered("a")
    history.append(arrival("a"))
    history.append(first)
    assert arrives_plainly(history, first, target, host).holds is holds
    assert arrives_plainly(History(), own(400), target, host).holds


def test_a_connection_is_kept_until_it_is_idle_unless_it_said_close() -> None:
    first, same, other = answered("a", connection="c"), answered("a", 1, connection="c"), answered("a", 2)
    closing = answered("a", connection="c", headers=(("Connection", "close"),))
    assert kept_until_idle([first, same]).holds
    assert kept_until_idle([closing, other]).holds
    assert not kept_until_idle([first, other]).holds
    assert not kept_until_idle([first, answered("a", 1, connection="c", **CLOSED)]).holds
    assert kept_until_idle([first]).outcome is Outcome.INCONCLUSIVE


def test_an_idle_connection_is_not_met_again() -> None:
    first = answered("a", connection="c")
    assert given_up_when_idle(first, answered("a", 1), 1.0).holds
    assert not given_up_when_idle(first, answered("a", 1, connection="c"), 1.0).holds


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        (own(431), True),
        (own(400), True),
        (answered(None, **CLOSED), True),
        (answered(None, **LATE), False),
        (own(502), False),
        (answered("a", status=400), False),
    ],
)
def test_a_head_without_an_end_is_refused(seen: Exchange, holds: bool) -> None:
    assert refused_in_mid_head(History(), [seen], 1000).holds is holds
    there = History()
    there.append(arrival("a"))
    assert not refused_in_mid_head(there, [seen], 1000).holds
