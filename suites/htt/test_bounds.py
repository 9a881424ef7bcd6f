"""HTT: what has a bound on a client's connection: the time for which it may be idle, and the head of a request."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.features import Level
from lbcheck.history import ID_HEADER
from lbcheck.judges.connections import given_up_when_idle, kept_until_idle, refused_in_mid_head
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

SHORT_S = 2.0
LATE_S = 1.0  # products look for connections that are idle in steps
REFUSED_S = 5.0
ENDLESS = 4_000_000  # bytes: Go's net/http takes a megabyte, which is the most of all products


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "HTT-60",
    "A client's connection is kept for `idle_timeout` after an answer, and then closed.",
    level=Level.EXTENDED,
    subject=listeners(lambda it: it.idle_timeout <= SHORT_S, within=serves),
    catches={
        "idle-client-closed-early": "kept_until_idle",
        "idle-client-kept-for-ever": "given_up_when_idle",
        "timer-fires-once": "given_up_when_idle",
        "idle-from-the-request": "kept_until_idle",
    },
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.5",
    timed=lambda it: {"idle timeout": it.idle_timeout},
    cost_s=4,
)
def test_idle_connections_are_kept_and_closed(stage: Stage, listener: Listener) -> None:
    """Pauses of three quarters of the idle time, which together are longer than it; then one that is too long.

    One answer takes longer than the idle time, which runs from its end.
    """
    client = stage.client(keep_alive=True)
    exchanges = [client.send(listener)]
    for _ in range(2):
        stage.wait(0.75 * listener.idle_timeout)
        exchanges.append(client.send(listener))
    for backend in backends_behind(stage):
        backend.answer(Answer(delay=1.25 * listener.idle_timeout))
    exchanges.append(client.send(listener))
    for backend in backends_behind(stage):
        backend.answer(Answer())
    stage.wait(0.5 * listener.idle_timeout)
    exchanges.append(client.send(listener))
    expect(kept_until_idle(exchanges))
    stage.wait(listener.idle_timeout + LATE_S + stage.slack)
    expect(given_up_when_idle(exchanges[-1], client.send(listener), listener.idle_timeout))


@check(
    "HTT-61",
    "A request's head without an end is refused, and not read for as long as it comes.",
    subject=listeners(within=serves),
    catches={"head-without-end": "refused_in_mid_head"},
    spec_link="https://www.rfc-editor.org/rfc/rfc6585#section-5",
    timed=lambda _: {"refused": REFUSED_S},
    cost_s=1,
)
def test_heads_without_an_end_are_refused(stage: Stage, listener: Listener) -> None:
    """A target, a field and a row of fields of four megabytes, of which none has an end."""
    _, request = stage.to(listener)
    for number, (start, more) in enumerate(((b"GET /", b"a"), (b"", b"a"), (b"", b"X-More: and more\r\n"))):
        named = f"Host: {request.host}\r\n{ID_HEADER}: endless-{number}\r\n"
        head = start or b"GET / HTTP/1.1\r\n" + named.encode() + (b"X-Long: " if more == b"a" else b"")
        data = head + more * (ENDLESS // len(more))
        expect(refused_in_mid_head(stage.sync(), stage.raw(listener, data, within=REFUSED_S), ENDLESS))
