"""What an action must come to, from made-up answers."""

from __future__ import annotations

import pytest

from lbcheck.history import History
from lbcheck.judges.routing import acts
from lbcheck.spec.model import Forward, Listener, Pool, Redirect, Respond, Spec
from lbcheck.verdict import Outcome

from .made import answered

SPEC = Spec((Listener("public", Forward((("web", 1),)), port=80),), (Pool("web", ()),))


@pytest.mark.parametrize(
    ("location", "outcome"),
    [
        ("http://other.test/", Outcome.HOLDS),
        ("http://other.test:80/", Outcome.HOLDS),
        ("http://other.test:8000/", Outcome.BROKEN),
        ("http://other.test:80:8000/", Outcome.BROKEN),
        ("http://[other.test/", Outcome.BROKEN),
    ],
)
def test_a_location_that_is_no_url_is_a_wrong_one(location: str, outcome: Outcome) -> None:
    exchange = answered(None, status=302, headers=(("Location", location),), request=b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert acts(History([exchange]), exchange, Redirect(), SPEC, location="http://other.test/").outcome is outcome


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (204, (), Outcome.HOLDS),
        (204, (("Content-Length", "0"),), Outcome.BROKEN),
        (200, (("Content-Length", "0"),), Outcome.HOLDS),
    ],
)
def test_a_fixed_204_says_no_length(status: int, headers: tuple[tuple[str, str], ...], outcome: Outcome) -> None:
    exchange = answered(None, status=status, headers=headers, body=b"")
    assert acts(History([exchange]), exchange, Respond(status), SPEC).outcome is outcome
