"""A client's visits, made up: within the duration of its cookie, after it, and with a cookie set anew."""

from __future__ import annotations

import pytest

from lbcheck.history import Exchange
from lbcheck.judges.stickiness import stays_while_bound
from lbcheck.spec.model import Stickiness
from lbcheck.verdict import Outcome

from .made import answered

STICKY = Stickiness(cookie="LB", duration=10.0)


def visit(backend: str, at: float, *, sets: bool = False) -> Exchange:
    fields = (("Lbcheck-Backend", backend), ("Lbcheck-Id", "r0"), *((("Set-Cookie", "LB=x"),) if sets else ()))
    return answered(backend, 0, invoked=at, done=at + 0.1, headers=fields)


@pytest.mark.parametrize(
    ("visits", "outcome"),
    [
        ([visit("a", 0, sets=True), visit("a", 8), visit("b", 12, sets=True)], Outcome.HOLDS),
        ([visit("a", 0, sets=True), visit("b", 8)], Outcome.BROKEN),
        ([visit("a", 0, sets=True), visit("a", 8, sets=True), visit("b", 12)], Outcome.HOLDS),
        ([visit("a", 0, sets=True), visit("b", 12)], Outcome.INCONCLUSIVE),
        ([visit("a", 0), visit("b", 8)], Outcome.INCONCLUSIVE),
    ],
)
def test_bound_until_the_duration_since_the_first_cookie_is_over(visits: list[Exchange], outcome: Outcome) -> None:
    assert stays_while_bound(visits, STICKY).outcome is outcome
