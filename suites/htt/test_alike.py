"""HTT: requests that are alike, or all but alike: what is made of one is not told of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lbcheck.checks import check, listeners, serves
from lbcheck.history import ID_HEADER
from lbcheck.judges.heads import arrive_as_sent, arrive_in_turn, told_of_each
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Listener, Spec
from lbcheck.verdict import expect

CLIENTS = ("127.5.6.7", "127.5.6.8", "127.5.6.7", "127.5.6.9", "127.5.6.9", "127.5.6.8")


def tells(listener: Listener) -> bool:
    return listener.forwarded is not None and listener.forwarded.x_forwarded_for in ("append", "replace")


@check(
    "HTT-62",
    "Of requests that are alike to the byte each backend is told whose it is.",
    subject=listeners(tells, within=serves),
    catches={"alike-from-another-client": "told_of_each"},
    spec_link="https://portswigger.net/web-security/web-cache-poisoning",
)
def test_requests_that_are_alike_are_told_apart(stage: Stage, listener: Listener) -> None:
    """They have even their id in common, as no other requests here have: whoever remembers heads finds them known."""
    for client in CLIENTS:
        stage.one(listener, source=client, headers=[(ID_HEADER, "alike")])
    expect(told_of_each(stage.sync(), "alike", CLIENTS))


HOSTS = ("one.test", "two.test", "one.test", "three.test", "three.test", "two.test")


def passes_all(spec: Spec, listener: Listener) -> bool:
    """Does everything that it gets go to its backends as it came?"""
    keeps_host = listener.forwarded is None or listener.forwarded.host == "keep"
    return serves(spec, listener) and keeps_host and not listener.rules


@check(
    "HTT-67",
    "Of requests that are alike but for their Host each arrives with its own.",
    subject=listeners(within=passes_all),
    catches={"host-of-the-first": "arrive_in_turn"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-3.2",
)
def test_requests_that_differ_in_host_are_told_apart(stage: Stage, listener: Listener) -> None:
    """They have even their id in common: whoever remembers heads finds them known."""
    client = stage.client(keep_alive=True)
    for host in HOSTS:
        client.send(listener, host=host, headers=[(ID_HEADER, "alike-but-for-host")])
    expect(arrive_in_turn(stage.sync(), "alike-but-for-host", "Host", HOSTS))


BODY = b"name=value"
ONE, OTHER = ("X-One", "1"), ("X-Other", "a, b")
# Each but the first differs from it in one thing.
ALL_BUT_ALIKE: tuple[dict[str, Any], ...] = (
    {},
    {"host": "other.test"},
    {"query": "?a=1"},
    {"method": "HEAD"},
    {"method": "POST", "body": BODY},
    {"method": "POST", "body": BODY, "chunked": True},
    {"headers": [ONE]},
    {"headers": [(ONE[0], "2")]},
    {"headers": [OTHER, ONE]},
    {"headers": [("Cookie", "a=1")]},
)
OWN = ("Host", "X-One", "X-Other", "Cookie")


def every_pair(count: int) -> Iterator[int]:
    """Numbers below `count` such that each comes right after each, itself too: a cycle of Euler's."""
    for first in range(count):
        yield first
        for second in range(first + 1, count):
            yield from (first, second)
    yield 0


def sent_in_turn(stage: Stage, listener: Listener, order: Sequence[int], *, kept: bool) -> list[Any]:
    client = stage.client(keep_alive=kept)
    _, request = stage.to(listener)
    found = []
    for number in order:
        how = dict(ALL_BUT_ALIKE[number])
        target = request.target + how.pop("query", "")
        found.append(client.send(listener, target=target, **how))
    return found


@check(
    "HTT-64",
    "Each request arrives as it was sent, whatever came just before it, on the same connection or on another.",
    subject=listeners(within=passes_all),
    catches={"fields-of-the-one-before": "arrive_as_sent"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.3",
    cost_s=1,
)
def test_each_request_arrives_as_it_was_sent(stage: Stage, listener: Listener) -> None:
    """Requests that differ in one thing, each right after each other one."""
    order = list(every_pair(len(ALL_BUT_ALIKE)))
    for kept in (True, False):
        expect(arrive_as_sent(stage.sync(), sent_in_turn(stage, listener, order, kept=kept), OWN, BODY))
