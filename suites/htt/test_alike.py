"""HTT: requests that are alike to the byte, from several clients: what is made of one is not told of another."""

from __future__ import annotations

from lbcheck.checks import check, listeners, serves
from lbcheck.history import ID_HEADER
from lbcheck.judges.heads import told_of_each
from lbcheck.lab.stage import Stage
from lbcheck.spec.model import Listener
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
