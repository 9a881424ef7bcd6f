"""What holds of every history, and what of it a balancer may do without breaking it."""

from __future__ import annotations

from typing import Any

import pytest

from lbcheck.history import Answered, Event, History
from lbcheck.judges.invariants import EXPECTED, invariants, is_plain
from tests.judges.made import answered, arrival
from tests.saved.made import SPEC

pytestmark = pytest.mark.fast

PLAIN = b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n"


def broken(*events: Event) -> list[str]:
    return [verdict.judgement for verdict in invariants(History(events), SPEC) if not verdict.holds]


def silent(error: str, **changes: Any) -> Event:
    values = {"request": PLAIN, "status": None, "complete": False, "first_byte": None, "done": 0.1, "error": error}
    return answered(None, **(values | changes))


def became(how: str, backend: str = "a", **changes: Any) -> Answered:
    return Answered(**({"backend": backend, "connection": 1, "index": 0, "at": 0.06, "how": how} | changes))


def test_a_plain_run_breaks_nothing_and_no_request_tells_nothing() -> None:
    assert broken(arrival("a"), became("answered"), answered("a")) == []
    assert invariants(History(), SPEC) == ()
    assert {v.judgement for v in invariants(History([answered(None)]), SPEC)} == set(EXPECTED)


@pytest.mark.parametrize(
    ("event", "lost"),
    [
        (silent("closed"), True),
        (silent("reset"), True),
        (silent("timeout", done=1000.0), True),
        (silent("timeout", done=1.0), False),  # it may have stood in a queue
        (silent("aborted"), False),
        (silent("refused", sent=None), False),
        (silent("closed", index=1), False),  # a kept connection may end
        (silent("closed", request=PLAIN.replace(b"Host", b"Host ")), False),  # no plain request
    ],
)
def test_lost(event: Event, lost: bool) -> None:
    assert broken(event) == (["nothing_lost"] if lost else [])


def test_cross_wired() -> None:
    assert broken(arrival("a"), answered("b")) == ["nothing_cross_wired"]


@pytest.mark.parametrize(
    ("method", "arrivals", "lawful"),
    [("GET", 2, True), ("GET", 3, False), ("POST", 1, True), ("POST", 2, False)],
)
def test_repeats_are_bounded_by_the_declared_retries_and_the_method(method: str, arrivals: int, lawful: bool) -> None:
    names = "abc"[:arrivals]
    seen = [arrival(name, method=method) for name in names]
    came = broken(*seen, answered(names[-1], method=method))
    assert came == ([] if lawful else ["no_unlawful_repeat"])


def test_a_kept_connection_that_ends_on_a_get_allows_one_more() -> None:
    stale = arrival("a", index=3)
    events = [stale, became("reset", index=3), arrival("b"), arrival("c"), answered("c")]
    assert broken(*events) == []
    assert broken(*(e for e in events if e is not events[1]), became("answered", index=3)) == ["no_unlawful_repeat"]


@pytest.mark.parametrize(
    ("how", "complete", "framing", "lied"),
    [
        ("cut", True, "Content-Length", True),
        ("reset", True, "transfer-encoding", True),
        ("cut", False, "Content-Length", False),
        ("answered", True, "Content-Length", False),
        ("cut", True, "X-Length", False),  # it ends with its connection: nobody can tell
    ],
)
def test_a_cut_answer_told_whole(how: str, complete: bool, framing: str, lied: bool) -> None:
    signed = (*answered("a").headers, (framing, "1"))
    events = arrival("a"), became(how), answered("a", complete=complete, body=b"x", body_len=1, headers=signed)
    assert broken(*events) == (["no_cut_told_whole"] if lied else [])


@pytest.mark.parametrize(
    ("head", "plain"),
    [
        (PLAIN, True),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"", False),
    ],
)
def test_a_plain_head(head: bytes, plain: bool) -> None:
    assert is_plain(head) is plain
