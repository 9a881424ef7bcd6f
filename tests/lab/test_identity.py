"""Backends that are none of lbcheck's: who answered, and what cannot be known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbcheck.errors import HarnessFault, Unsupported, UsageError
from lbcheck.history import Arrival, Exchange, History
from lbcheck.judges.balance import takes_turns
from lbcheck.judges.routing import acts
from lbcheck.lab.identity import Signatures, identity_of
from lbcheck.lab.unwitnessed import Unwitnessed
from lbcheck.spec.loading import loads
from lbcheck.spec.model import Forward, Redirect
from lbcheck.verdict import Outcome

pytestmark = pytest.mark.fast

SPEC = loads("""\
listeners: [{name: l, address: 127.0.0.1, port: 8080, default: {forward: p}}]
pools: {p: {backends: [{name: a, address: "127.0.0.1:9001"}, {name: b, address: "127.0.0.1:9002"}]}}
""").spec
AT = Exchange("1", "l", "GET", "/", "127.0.0.1", "c", 0, 0.0, b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n")


def answer(*headers: tuple[str, str], body: bytes = b"", status: int = 200) -> Exchange:
    return Exchange(
        "1", "l", "GET", "/", "127.0.0.1", "c", 0, 0.0, AT.request,
        status=status, headers=headers, body=body, complete=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "exchange", "backend"),
    [
        ("header:X-Served-By", answer(("x-served-by", " a ")), "a"),
        ("header:X-Served-By", answer(("X-Served-By", "127.0.0.1:9002")), "b"),
        ("header:X-Served-By", answer(), None),
        (r"body:served by (\w+)", answer(body=b"<p>served by b</p>"), "b"),
        ("body:[ab]", answer(body=b"it is a"), "a"),
        ("body:[ab]", answer(body=b"x"), None),
    ],
)
def test_an_answer_is_signed_by_whom_it_names(how: str, exchange: Exchange, backend: str | None) -> None:
    sign = Signatures(identity_of(how), SPEC)
    assert sign(exchange).backend == backend
    sign.look()


def test_a_name_that_no_spec_knows_is_the_harnesss_fault() -> None:
    sign = Signatures(identity_of("header:Server"), SPEC)
    assert sign(answer(("Server", "nginx"))).backend is None
    with pytest.raises(HarnessFault, match=r"an answer came from 'nginx'; the spec's backends are .*a, b"):
        sign.look()


@pytest.mark.parametrize("how", ["X-Served-By", "header:", "header:a b", "body:", "body:(", "cookie:a"])
def test_what_identifies_nothing_is_refused(how: str) -> None:
    with pytest.raises(UsageError, match="--lb-identify="):
        identity_of(how)


@pytest.mark.parametrize(
    "ask",
    [
        lambda history: history.arrivals,
        lambda history: history.probes,
        lambda history: history.strays,
        lambda history: history.arrivals_of("1"),
        lambda history: history.of(Arrival),
        lambda history: history.journeys(),
        lambda history: history.doubtful(),
    ],
)
def test_what_only_backends_know_is_unsupported(ask: Callable[[History], object]) -> None:
    history = Unwitnessed([answer()])
    with pytest.raises(Unsupported, match="nobody tells what arrives"):
        ask(history)


def test_what_clients_saw_is_judged() -> None:
    sign = Signatures(identity_of("header:X-Served-By"), SPEC)
    exchanges = [sign(answer(("X-Served-By", name))) for name in "ababab"]
    assert takes_turns(exchanges, ["a", "b"]).outcome is Outcome.HOLDS
    assert takes_turns(exchanges[:5] + exchanges[:1], ["a", "b"]).outcome is Outcome.BROKEN


def test_actions_are_judged_by_their_answers() -> None:
    sign = Signatures(identity_of("header:X-Served-By"), SPEC)
    by_a, moved = sign(answer(("X-Served-By", "a"))), answer(("Location", "http://lb.test/new"), status=301)
    history = Unwitnessed([by_a, moved])
    forward, redirect = Forward((("p", 1),)), Redirect(301, path="/new")
    location = "http://lb.test/new"
    assert acts(history, by_a, forward, SPEC).outcome is Outcome.HOLDS
    assert acts(history, moved, forward, SPEC).outcome is Outcome.BROKEN
    assert acts(history, moved, redirect, SPEC, location=location).outcome is Outcome.HOLDS
    assert acts(history, by_a, redirect, SPEC, location=location).outcome is Outcome.BROKEN
