"""HTT: where messages end on a client's connection, who ends it, and what a client of HTTP/1.0 can read."""

from __future__ import annotations

from lbcheck.backends.script import HANG, Answer
from lbcheck.checks import check, listeners, pools, rules, serves
from lbcheck.client.outgoing import Pace
from lbcheck.features import Level
from lbcheck.judges.connections import (
    closes_when_told,
    ends_at_its_frame,
    interim_in_order,
    readable_by_old,
    stays_as_said,
)
from lbcheck.judges.delivery import allowed, whole_answer, whole_body
from lbcheck.judges.heads import Lawful, no_smuggling
from lbcheck.lab.heads import request_head, signed_answer
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Listener, Pool, Redirect, Respond, Rule
from lbcheck.verdict import expect

RFC_BODY = "https://www.rfc-editor.org/rfc/rfc9112#section-6.3"
RFC_PERSISTENCE = "https://www.rfc-editor.org/rfc/rfc9112#section-9.3"
RFC_CHUNKED = "https://www.rfc-editor.org/rfc/rfc9112#section-7.1"
SHORT_S = 1.0
AT_ONCE_S = 1.0
MANY = 20
BODY = b"0123456789abcdef" * 2
# As RFC 9110 section 5.6.1 and 7.6.1 let a list of case-insensitive options be written.
LAST = (
    (("Connection", "close"),),
    (("Connection", "Close"),),
    (("Connection", "x-other, CLOSE"),),
    (("Connection", "close ,x-other"),),
    (("Connection", "x-other"), ("Connection", "close")),
    (("Connection", "close"), ("Connection", "x-other")),
)
KEEP = (
    (("Connection", "keep-alive"),),
    (("Connection", "Keep-Alive"),),
    (("Connection", "x-other, KEEP-ALIVE"),),
)
# The same bytes in chunks: plain, upper and lower case, leading zeros, extensions of every form, trailers.
CHUNKS = (
    ("lower case", b"1f\r\n%b\r\n1\r\n%b\r\n0\r\n\r\n", (31, 32)),
    ("upper case", b"1F\r\n%b\r\n1\r\n%b\r\n0\r\n\r\n", (31, 32)),
    ("leading zeros", b"0010\r\n%b\r\n000000010\r\n%b\r\n000\r\n\r\n", (16, 32)),
    ("an extension", b"10;a\r\n%b\r\n10;b=c\r\n%b\r\n0;d\r\n\r\n", (16, 32)),
    ("quoted extensions", b'1;a="b;c"\r\n%b\r\n1f;x=y;z="\\""\r\n%b\r\n0\r\n\r\n', (1, 32)),
    ("trailers", b"10\r\n%b\r\n10\r\n%b\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", (16, 32)),
)


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


def plain(pool: Pool) -> bool:
    return all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)


def chunked(template: bytes, cut: tuple[int, int]) -> bytes:
    return template % (BODY[: cut[0]], BODY[cut[0] : cut[1]])


@check(
    "HTT-35",
    "An error of the balancer's own has no body where HEAD was asked, and the next answer on the connection is right.",
    subject=pools(lambda p: plain(p) and p.timeouts.response <= SHORT_S and p.passive_health is None),
    catches={"own-error-to-head-has-body": "ends_at_its_frame"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2",
    cost_s=2,
)
def test_own_errors_to_head_have_no_body(stage: Stage, pool: StagedPool) -> None:
    """Every backend closes without an answer, then hangs, then is dead; a GET follows each HEAD."""
    _, request = stage.to(pool)
    said, times = pool.spec.statuses, pool.spec.timeouts
    within = (1 + pool.spec.retries.attempts) * (times.response + times.connect) + 2.0

    def ask(what: str) -> bytes:
        first = request_head(request, f"head-{what}", method="HEAD")
        return first + request_head(request, f"get-{what}", method="GET")

    for what, fault, status in (("close", Answer(fault="close"), said.broken), ("hang", HANG, said.timeout)):
        for backend in pool.backends:
            backend.answer(fault, id=f"head-{what}")
        expect(ends_at_its_frame(stage.raw(pool, ask(what), within=within), allowed(status), f"HEAD, {what}"))
    for backend in pool.backends:
        backend.kill()
    expect(ends_at_its_frame(stage.raw(pool, ask("dead"), within=within), allowed(said.refused), "HEAD, all dead"))


@check(
    "HTT-36",
    "A redirect or fixed answer has no body where HEAD was asked, and the next answer on the connection is right.",
    subject=rules(
        lambda r: isinstance(r.then, Redirect | Respond) and not r.when.method and not r.when.source,
        reads=lambda r: (type(r.then), r.then.status),
    ),
    catches={"redirect-to-head-has-body": "ends_at_its_frame"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2",
)
def test_own_answers_to_head_have_no_body(stage: Stage, rule: Rule) -> None:
    assert isinstance(rule.then, Redirect | Respond)
    listener, request = stage.to(rule)
    for number in (1, 2):  # one pair at a time: who answers by itself may end a connection with many at once
        heads = [request_head(request, f"{way}-{number}", method=way) for way in ("HEAD", "GET")]
        exchanges = stage.raw((listener, request), b"".join(heads), within=AT_ONCE_S)
        expect(ends_at_its_frame(exchanges, {rule.then.status}, "HEAD"))


@check(
    "HTT-37",
    "After an answer that came before its request's body was whole the body's rest is never read as a request.",
    subject=listeners(within=serves),
    catches={"early-answer-client-kept": "no_smuggling"},
    spec_link=RFC_PERSISTENCE,
    cost_s=2,
)
def test_the_rest_of_a_body_is_no_request(stage: Stage, listener: Listener) -> None:
    """Backends answer at the head of an upload; its second half, which comes later, is a whole request."""
    _, request = stage.to(listener)
    for backend in backends_behind(stage):
        backend.answer(Answer(early=True))
    for number, framing in enumerate(("length", "chunked")):
        ids = f"outer-{number}", f"inner-{number}"
        inner = request_head(request, ids[1], method="GET")
        field = ("Content-Length", str(len(inner))) if framing == "length" else ("Transfer-Encoding", "chunked")
        head = request_head(request, ids[0], field, method="POST")
        ahead = head if framing == "length" else head + b"%x\r\n" % len(inner)
        rest = inner if framing == "length" else inner + b"\r\n0\r\n\r\n"
        answers = stage.raw(listener, ahead + rest, within=AT_ONCE_S, pace=Pace(len(ahead), AT_ONCE_S / 5))
        lawful = Lawful(f"a request in the rest of a body ({framing})", 1, None)
        expect(no_smuggling(stage.sync(), ids, answers, lawful))


@check(
    "HTT-38",
    "A client that says that its request is the last, in any case and place of Connection, gets no other processed.",
    subject=listeners(within=serves),
    catches={"close-in-capitals-unheard": "closes_when_told"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.6",
)
def test_a_last_request_is_the_last(stage: Stage, listener: Listener) -> None:
    """Each way to say it, in HTTP/1.1 and in 1.0, which needs none; another request follows in the same bytes."""
    _, request = stage.to(listener)
    ways = [(fields, version) for fields in LAST for version in ("1.1", "1.0")] + [((), "1.0")]
    for number, (fields, version) in enumerate(ways):
        first = request_head(request, f"last-{number}", *fields, version=version)
        after = request_head(request, f"after-{number}", version=version)
        answers = stage.raw(listener, first + after, within=AT_ONCE_S)
        what = ", ".join(f"{name}: {value}" for name, value in fields) or "no Connection"
        expect(closes_when_told(stage.sync(), answers, f"after-{number}", f"{what} in HTTP/{version}"))


@check(
    "HTT-39",
    "A client of HTTP/1.0 gets what it can read: no chunks, and keep-alive where its connection is kept.",
    subject=listeners(within=serves),
    catches={"chunks-to-old-client": "readable_by_old", "keep-alive-unsaid": "stays_as_said"},
    spec_link=RFC_PERSISTENCE,
    cost_s=2,
)
def test_old_clients_get_what_they_can_read(stage: Stage, listener: Listener) -> None:
    _, request = stage.to(listener)
    for number, fields in enumerate(((), *KEEP)):
        what = ", ".join(f"{name}: {value}" for name, value in fields) or "no Connection"
        for framing in ("length", "chunked", "close"):
            for backend in backends_behind(stage):
                backend.answer(Answer(body=BODY, framing=framing))
            head = request_head(request, f"old-{number}-{framing}", *fields, version="1.0")
            exchange = stage.raw(listener, head, within=AT_ONCE_S)[0]
            expect(readable_by_old(exchange, BODY, f"{what}, {framing}"))
    for backend in backends_behind(stage):
        backend.answer(Answer())
    for number, fields in enumerate(KEEP):
        head = request_head(request, f"kept-{number}-0", *fields, version="1.0")
        again = request_head(request, f"kept-{number}-1", *fields, version="1.0")
        answers = stage.raw(listener, head + again, within=AT_ONCE_S, pace=Pace(len(head), AT_ONCE_S / 10))
        expect(stays_as_said(stage.sync(), answers, f"{fields[0][1]} in HTTP/1.0"))


@check(
    "HTT-40",
    "A body in chunks is read as it may be written: sizes in any case and with zeros, extensions, trailers.",
    subject=listeners(within=serves),
    catches={"chunk-extension-refused": "whole_body", "chunk-size-lower-case": "whole_body"},
    spec_link=RFC_CHUNKED,
    cost_s=5,
)
def test_chunks_are_read_as_they_may_be_written(stage: Stage, listener: Listener) -> None:
    """Requests and answers, at once and in pieces of three bytes."""
    _, request = stage.to(listener)
    for number, (what, template, cut) in enumerate(CHUNKS):
        body = chunked(template, cut)
        for pace in (None, Pace(3, 0.001)):
            identity = f"chunked-{number}{'-pieces' if pace else ''}"
            head = request_head(request, identity, ("Transfer-Encoding", "chunked"), method="POST")
            exchange = stage.raw(listener, head + body, within=2 * AT_ONCE_S, pace=pace)[0]
            expect(whole_body(stage.sync(), exchange, BODY, f"a request in chunks with {what}"))
        coded, identity = ("Transfer-Encoding", "chunked"), f"answer-{number}"
        for backend in backends_behind(stage):
            backend.answer(Answer(raw=signed_answer(backend.name, identity, coded, body=body)), id=identity)
        exchange = stage.raw(listener, request_head(request, identity), within=AT_ONCE_S)[0]
        expect(whole_answer(exchange, BODY, f"an answer in chunks with {what}"))


@check(
    "HTT-41",
    "Interim answers are not taken for the final one, however many come.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"interim-is-final": "interim_in_order", "interims-add-up": "interim_in_order"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.2",
)
def test_interim_answers_come_before_the_final_one(stage: Stage, listener: Listener) -> None:
    for given in ((103,), (102, 103, 103), (103,) * 8):
        for backend in backends_behind(stage):
            backend.answer(Answer(body=BODY, interim=given))
        expect(interim_in_order(stage.one(listener), given))
    client = stage.client(keep_alive=True)  # eight each: whoever counts them over a connection comes to its limit
    for _ in range(MANY):
        expect(interim_in_order(client.send(listener), given))


@check(
    "HTT-42",
    "A client of HTTP/1.0 gets no interim answers, which it would take for the final one.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"interim-to-old-client": "readable_by_old"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.2",
)
def test_old_clients_get_no_interim_answers(stage: Stage, listener: Listener) -> None:
    _, request = stage.to(listener)
    for backend in backends_behind(stage):
        backend.answer(Answer(body=BODY, interim=(102, 103)))
    for number, fields in enumerate(((), *KEEP)):
        what = ", ".join(f"{name}: {value}" for name, value in fields) or "no Connection"
        head = request_head(request, f"early-{number}", *fields, version="1.0")
        expect(readable_by_old(stage.raw(listener, head, within=AT_ONCE_S)[0], BODY, what))
        sized = (("Content-Length", "4"), *fields)
        head = request_head(request, f"early-upload-{number}", *sized, method="POST", version="1.0")
        answers = stage.raw(listener, head + b"body", within=AT_ONCE_S, pace=Pace(len(head), AT_ONCE_S / 10))
        expect(readable_by_old(answers[0], BODY, f"{what}, with a body"))
