"""What may be sent again."""

from __future__ import annotations

from itertools import product

import pytest

from lbcheck.balancer.decisions import Attempt
from lbcheck.balancer.retry import IDEMPOTENT
from lbcheck.spec.model import Retries, Statuses
from tests.balancer.worlds import World

ANYTHING = Retries(attempts=2, on=("connect", "reset", "timeout", "503"))
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "LOCK", "get")


def may(retries: Retries, attempt: Attempt) -> bool:
    world = World(retries=retries)
    return world.decisions.may_retry(world.pool, attempt)


@pytest.mark.parametrize("non_idempotent", [False, True])
def test_every_combination(non_idempotent: bool) -> None:
    retries = Retries(2, ("connect", "reset"), non_idempotent)
    flags = product(("connect", "reset", "503"), METHODS, *[(False, True)] * 4, range(4))
    for what, method, sent, replayable, answering, reused, repeats in flags:
        attempt = Attempt(what, method, sent, repeats, replayable, answering, reused)
        safe = method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE") or not sent or non_idempotent
        declared = what in ("connect", "reset") and repeats < 2
        possible = replayable and not answering
        stale = reused and what == "reset" and repeats == 0 and method in IDEMPOTENT
        assert may(retries, attempt) is (possible and ((safe and declared) or stale)), attempt


def test_a_post_that_was_read_is_never_repeated() -> None:
    for what in ANYTHING.on:
        assert not may(ANYTHING, Attempt(what, "POST", sent=True, repeats=0, replayable=True))
        assert not may(ANYTHING, Attempt(what, "POST", sent=True, repeats=0, replayable=True, reused=True))


def test_a_closing_kept_connection_is_forgiven_once_without_any_retries() -> None:
    stale = Attempt("reset", "GET", sent=True, repeats=0, replayable=True, reused=True)
    assert may(Retries(0, ()), stale)
    assert not may(Retries(0, ()), Attempt("reset", "GET", sent=True, repeats=1, replayable=True, reused=True))
    assert not may(Retries(0, ()), Attempt("reset", "GET", sent=True, repeats=0, replayable=True))


def test_a_repeat_goes_elsewhere_as_long_as_there_is_an_elsewhere() -> None:
    world = World()
    assert {world.choose(tried=["a"]) for _ in range(6)} == {"b", "c"}
    assert {world.choose(tried=["a", "b"]) for _ in range(6)} == {"c"}
    assert {world.choose(tried=["a", "b", "c"]) for _ in range(6)} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("why", "default"), [("none_usable", 503), ("refused", 502), ("broken", 502), ("timeout", 504)]
)
def test_the_balancer_s_own_statuses(why: str, default: int) -> None:
    plain, told = World(), World(statuses=Statuses(**{why: 599}))
    assert plain.decisions.own_status(plain.pool, why) == default  # type: ignore[arg-type]
    assert told.decisions.own_status(told.pool, why) == 599  # type: ignore[arg-type]
