"""HTT: several requests on a connection, slow clients, and answers that come in parts."""

from __future__ import annotations

import gzip
from functools import partial

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.client.outgoing import Pace
from lbcheck.features import Level
from lbcheck.history import ID_HEADER, History
from lbcheck.judges.answers import all_answered
from lbcheck.judges.delivery import whole_answer
from lbcheck.judges.heads import answer_has, answers_pipelined, arrives_with, comes_in_parts, left_after_close
from lbcheck.lab.heads import request_head
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

RFC_PIPELINING = "https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2"
PIPELINED = 3
UPLOADS = (
    ("length", ("Content-Length", "10"), b"0123456789"),
    ("chunked", ("Transfer-Encoding", "chunked"), b"a\r\n0123456789\r\n0\r\n\r\n"),
)
NO_BODIES = (("Content-Length", "0"), b""), (("Transfer-Encoding", "chunked"), b"0\r\n\r\n")
SIZES = tuple(2**power for power in range(16, 22))  # for some the answer ends just as a buffer is full
DEAF_S = 0.2
TRICKLE = 5_000_000  # comes for so long that its client reads again before its end, and then all of it at once
ROW, FILLER = 80, "x" * 2_000  # more than is kept of what comes ahead, and than a window of the network
SLOW_S, PIECES = 1.5, 10  # how long a slow client takes for its request, and in how many pieces
AT_ONCE_S = 1.0  # what the others are given meanwhile
TEXT = b"The same sentence, again and again. " * 200
# Below what any product takes unasked: nginx reads an answer's head into one page, a request's into buffers of 8 kB.
LONG_REQUEST, LONG_ANSWER = 6_000, 2_500
EVENTS = b"data: an event\n\n" * 8


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "HTT-14",
    "Requests that come before the answers to those ahead of them are answered in their order, each with its own.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={
        "pipelined-request-dropped": "answers_pipelined",
        "behind-a-body-dropped": "answers_pipelined",
        "client-ahead-never-read-on": "answers_pipelined",
    },
    spec_link=RFC_PIPELINING,
)
def test_pipelined_requests_are_answered_in_order(stage: Stage, listener: Listener) -> None:
    """Three requests in one write, the first with the slowest answer; one behind the end of a body; a long row.

    A connection that ends instead is lawful.
    """
    _, request = stage.to(listener)
    for backend in backends_behind(stage):
        backend.answer(Answer(delay=0.1), id="pipelined-0")  # the first is the slowest
    heads = "".join(
        f"GET /{number} HTTP/1.1\r\nHost: {request.host}\r\n{ID_HEADER}: pipelined-{number}\r\n\r\n"
        for number in range(PIPELINED)
    )
    expect(answers_pipelined(stage.sync(), stage.raw(listener, heads.encode("latin-1"), within=AT_ONCE_S)))

    for what, field, body in UPLOADS:
        ahead = request_head(request, f"{what}-0", field, method="POST") + body[: len(body) // 2]
        behind = body[len(body) // 2 :] + request_head(request, f"{what}-1")
        answers = stage.raw(listener, ahead + behind, within=2 * AT_ONCE_S, pace=Pace(len(ahead), 0.05))
        expect(answers_pipelined(stage.sync(), answers))

    row = b"".join(request_head(request, f"row-{number}", ("X-Filler", FILLER)) for number in range(ROW))
    for backend in backends_behind(stage):
        backend.answer(Answer(delay=0.1), id="row-0")
    expect(answers_pipelined(stage.sync(), stage.raw(listener, row, within=5 * AT_ONCE_S)))


@check(
    "HTT-68",
    "A request behind an empty body, or behind an answer that its client takes slowly, is answered too.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={
        "behind-an-empty-body-dropped": "answers_pipelined",
        "ahead-of-a-slow-client-lost": "answers_pipelined",
        "once-slow-always-slow": "answers_pipelined",
    },
    spec_link=RFC_PIPELINING,
    cost_s=2,
)
def test_nothing_is_lost_behind_empty_bodies_and_slow_clients(stage: Stage, listener: Listener) -> None:
    _, request = stage.to(listener)
    for number, (framing, end) in enumerate(NO_BODIES):
        first = request_head(request, f"empty-{number}-0", framing, method="POST") + end
        data = first + request_head(request, f"empty-{number}-1")
        expect(answers_pipelined(stage.sync(), stage.raw(listener, data, within=AT_ONCE_S)))
    for size, rate in (*((size, None) for size in SIZES), (TRICKLE, TRICKLE / (3 * DEAF_S))):
        names = [f"slow-{size}-{number}" for number in range(PIPELINED)]
        for backend in backends_behind(stage):
            backend.answer(Answer(body_size=size, rate=rate), id=names[0])
        data = b"".join(request_head(request, name) for name in names)
        answers = stage.raw(listener, data, within=5 * AT_ONCE_S, deaf_s=DEAF_S)
        expect(answers_pipelined(stage.sync(), answers))


def arrived(identity: str, history: History) -> bool:
    return bool(history.arrivals_of(identity))


@check(
    "HTT-15",
    "A client that sends its request slowly holds up nobody else, and gets its answer.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"one-request-at-a-time": "all_answered"},
    spec_link="https://github.com/shekyan/slowhttptest",
    timed=lambda _: {"at once": AT_ONCE_S},
    cost_s=2,
)
def test_slow_clients_hold_up_nobody(stage: Stage, listener: Listener) -> None:
    """Three clients send their bodies in ten pieces; meanwhile others must be answered within a second."""
    body = b"x" * 10_000
    pace = Pace(len(body) // PIECES, SLOW_S / PIECES)
    slow = [stage.start(listener, method="POST", body=body, pace=pace, within=10.0) for _ in range(3)]
    stage.wait_for(partial(arrived, slow[0].id), within=AT_ONCE_S / 5)  # a product may wait for the whole of it
    others = stage.send(listener, n=2 * len(backends_behind(stage)), within=AT_ONCE_S)
    late = [pending.wait(within=10.0) for pending in slow]

    expect(all_answered(stage.sync(), others))
    expect(all_answered(stage.history, late))


@check(
    "HTT-16",
    "Parts of an answer are passed on as they come: an event reaches its client before the next one happens.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"answers-held-until-whole": "comes_in_parts"},
    spec_link="https://html.spec.whatwg.org/multipage/server-sent-events.html",
    timed=lambda _: {"at once": AT_ONCE_S},
    cost_s=2,
)
def test_parts_of_an_answer_are_passed_on(stage: Stage, listener: Listener) -> None:
    """A backend sends half of its events and then nothing: the client must have them before its patience ends."""
    stream = Answer(
        body=EVENTS,
        headers=(("Content-Type", "text/event-stream"),),
        framing="chunked",
        fault="hang",
        moment="within_body",
    )
    for backend in backends_behind(stage):
        backend.answer(stream)
    expect(comes_in_parts(stage.one(listener, within=AT_ONCE_S)))


@check(
    "HTT-17",
    "An answer that a backend has encoded arrives as it is, and says so.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"content-encoding-lost": "answer_has"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-8.4",
)
def test_encoded_answers_are_untouched(stage: Stage, listener: Listener) -> None:
    """A body in gzip arrives byte for byte, with its Content-Encoding."""
    body = gzip.compress(TEXT, mtime=0)
    for backend in backends_behind(stage):
        backend.answer(Answer(body=body, headers=(("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))))
    exchange = stage.one(listener, headers=[("Accept-Encoding", "gzip")])
    expect(answer_has(exchange, "Content-Encoding", "gzip"))
    expect(whole_answer(exchange, body, "an answer in gzip"))


@check(
    "HTT-18",
    "A backend's connection is not used again once an answer on it has said close.",
    subject=listeners(within=serves),
    catches={"closing-connection-reused": "left_after_close", "old-answer-keeps-connection": "left_after_close"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.6",
)
def test_announced_closes_are_heard(stage: Stage, listener: Listener) -> None:
    """The backends say that they close, and do not: who sends a second request there is seen doing it.

    An answer of HTTP/1.0 says so by not saying otherwise (RFC 9112 section 9.3).
    """
    backends = backends_behind(stage)
    for backend in backends:
        backend.answer(Answer(headers=(("Connection", "close"),)))
    exchanges = stage.send(listener, n=3 * len(backends))
    expect(left_after_close(stage.sync(), exchanges))
    for backend in backends:
        backend.answer(Answer(raw=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    expect(left_after_close(stage.sync(), stage.send(listener, n=3 * len(backends))))


@check(
    "HTT-19",
    "Fields of some kilobytes arrive whole, both ways.",
    subject=listeners(within=serves),
    catches={"long-field-cut": "arrives_with", "long-answer-field-cut": "answer_has"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-5.4",
)
def test_long_fields_arrive_whole(stage: Stage, listener: Listener) -> None:
    """A field of 6 kB with the request and one of 2.5 kB with the answer, within what products take unasked."""
    told, answered = "q" * LONG_REQUEST, "a" * LONG_ANSWER
    for backend in backends_behind(stage):
        backend.answer(Answer(headers=(("X-Long", answered),)))
    exchange = stage.one(listener, headers=[("X-Long", told)])
    expect(arrives_with(stage.sync(), exchange, "X-Long", [told]))
    expect(answer_has(exchange, "X-Long", answered))
