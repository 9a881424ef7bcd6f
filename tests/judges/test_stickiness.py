"""A client's visits, made up: within the duration of its cookie, after it, and with a cookie set anew."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from lbcheck.history import Exchange
from lbcheck.judges.stickiness import hides_addresses, stays_while_bound
from lbcheck.spec.model import Stickiness
from lbcheck.verdict import Outcome

from .made import answered

STICKY = Stickiness(cookie="LB", duration=10.0)


def visit(backend: str, at: float, *, sets: bool = False, value: str = "x") -> Exchange:
    fields = (("Lbcheck-Backend", backend), ("Lbcheck-Id", "r0"), *((("Set-Cookie", f"LB={value}"),) if sets else ()))
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


ADDRESS = "127.0.0.1:9001"
TOLD = b"\n\x0e" + ADDRESS.encode()  # as a message of protobuf begins


@pytest.mark.parametrize(
    "value",
    [ADDRESS, quote(ADDRESS, safe=""), ADDRESS.encode().hex(), base64.b64encode(TOLD).decode().rstrip("=")],
    ids=["clear", "percent", "hex", "base64"],
)
def test_an_address_that_anybody_can_read_is_no_secret(value: str) -> None:
    assert hides_addresses(visit("a", 0, sets=True, value=value), "LB", [ADDRESS]).outcome is Outcome.BROKEN


@pytest.mark.parametrize("value", ["x", "0f", "a-b_c", base64.b64encode(bytes(range(40))).decode(), "%zz", "é"])
def test_what_nobody_can_read_is(value: str) -> None:
    assert hides_addresses(visit("a", 0, sets=True, value=value), "LB", [ADDRESS]).outcome is Outcome.HOLDS


def test_a_cookie_that_is_not_set_hides_nothing() -> None:
    assert hides_addresses(visit("a", 0), "LB", [ADDRESS]).outcome is Outcome.BROKEN
