"""HTT: messages whose end can be read in two ways, judged by what a strict backend saw."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.client.attacks import attacks
from lbcheck.history import ID_HEADER
from lbcheck.judges.answers import all_answered, reach_nobody
from lbcheck.judges.connections import one_framing
from lbcheck.judges.heads import Lawful, never_whole, no_smuggling
from lbcheck.lab.heads import request_head
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

HOST = "lb.test"
AT_ONCE_S = 1.0
CUT = (
    ("a length and half of it", ("Content-Length", "20"), b"0123456789"),
    ("a length and nothing", ("Content-Length", "20"), b""),
    ("chunks without the last", ("Transfer-Encoding", "chunked"), b"a\r\n0123456789\r\n"),
    ("half a chunk", ("Transfer-Encoding", "chunked"), b"14\r\n0123456789"),
    ("a last chunk without its end", ("Transfer-Encoding", "chunked"), b"a\r\n0123456789\r\n0\r\n"),
)
LENGTH = "Content-Length: 10\r\n"
TWO_WAYS = (
    ("two lengths", LENGTH + "Content-Length: 4\r\n", b"0123456789"),
    ("two lengths, the longer last", "Content-Length: 4\r\n" + LENGTH, b"0123456789"),
    ("two lengths in one line", "Content-Length: 10, 4\r\n", b"0123456789"),
    ("a length and chunks", LENGTH + "Transfer-Encoding: chunked\r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
    ("a length with a sign", "Content-Length: +10\r\n", b"0123456789"),
)


@check(
    "HTT-11",
    "A message whose end can be read in two ways is refused or forwarded harmlessly: never two requests for one.",
    subject=listeners(within=serves),
    catches={
        "two-lengths-accepted": "no_smuggling",
        "length-and-chunked-accepted": "no_smuggling",
        "odd-coding-is-chunked": "no_smuggling",
    },
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-11.2",
    cost_s=2,
)
def test_framing_attacks_do_not_smuggle(stage: Stage, listener: Listener) -> None:
    for number, attack in enumerate(attacks()):
        outer, inner = f"attack-{number}", f"attack-{number}-inner"
        answers = stage.raw(listener, attack.raw(id=outer, inner=inner, host=HOST), within=0.4 + stage.slack)
        lawful = Lawful(attack.name, attack.requests, attack.body_length(inner=inner, host=HOST))
        expect(no_smuggling(stage.sync(), (outer, inner), answers, lawful))
        # Whatever a backend's connection still held would come out here, as somebody else's answer.
        expect(all_answered(stage.history, stage.send(listener, n=2)))


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "HTT-65",
    "A request whose body ends with its connection is never taken for a whole one.",
    subject=listeners(within=serves),
    catches={"short-upload-is-whole": "never_whole"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-8",
    cost_s=2,
)
def test_cut_bodies_are_never_whole(stage: Stage, listener: Listener) -> None:
    """Its client sends a part and closes its side; it would read an answer."""
    _, request = stage.to(listener)
    for number, (what, framing, part) in enumerate(CUT):
        head = request_head(request, f"cut-{number}", framing, method="POST")
        exchange = stage.raw(listener, head + part, half_close=True, within=AT_ONCE_S)[0]
        expect(never_whole(stage.sync(), exchange, what))
        expect(all_answered(stage.history, stage.send(listener, n=2)))


@check(
    "HTT-66",
    "An answer whose end can be read in two ways is refused, or passed on with one end.",
    subject=listeners(within=serves),
    catches={"last-of-two-lengths": "one_framing"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-6.3",
    cost_s=1,
)
def test_answers_have_one_end(stage: Stage, listener: Listener) -> None:
    for what, fields, body in TWO_WAYS:
        for backend in backends_behind(stage):
            backend.answer(Answer(raw=f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode() + body, keep_alive=False))
        expect(one_framing(stage.one(listener), what))
        for backend in backends_behind(stage):
            backend.answer(Answer())
        expect(all_answered(stage.sync(), stage.send(listener, n=2)))


@check(
    "HTT-69",
    "A request without Host, or with two of them, is refused.",
    subject=listeners(within=serves),
    catches={"second-host-let-through": "reach_nobody"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-3.2",
    cost_s=1,
)
def test_a_request_has_one_host(stage: Stage, listener: Listener) -> None:
    """A second one alike is refused as well: who looks at the first and who looks at the last must not differ."""
    _, request = stage.to(listener)
    one = f"Host: {request.host}\r\n"
    for number, hosts in enumerate(("", 2 * one, one + "Host: other.test\r\n", "Host: other.test\r\n" + one)):
        head = f"GET {request.target} HTTP/1.1\r\n{hosts}{ID_HEADER}: hosts-{number}\r\n\r\n"
        expect(reach_nobody(stage.sync(), stage.raw(listener, head.encode(), within=AT_ONCE_S)))
