"""HTT: requests and answers that are lawful and unusual, and answers that are longer than they said."""

from __future__ import annotations

from itertools import product

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.features import Level
from lbcheck.history import ID_HEADER
from lbcheck.judges.answers import all_answered, reach_nobody
from lbcheck.judges.connections import answered_before_refusal, arrives_plainly
from lbcheck.judges.delivery import none_cross_wired, whole_body
from lbcheck.judges.heads import answers_in_step, answers_pipelined, arrive_in_turn
from lbcheck.lab.heads import request_head, signed_answer
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

AT_ONCE_S = 1.0
TORN_S = 0.02  # so that the halves come one by one
AUTHORITIES = ("one.test", "two.test", "one.test", "three.test", "three.test", "two.test")
METHODS = ("GET", "DELETE", "OPTIONS", "PATCH", "PUT")
LARGE, DEAF_S = b"x" * 600_000, 0.3  # more than a socket takes unread
BODY = b"a body where few expect one"


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "HTT-43",
    "What a backend sends beyond the answer that it declared is never part of another.",
    subject=listeners(within=serves),
    catches={
        "surplus-kept": "none_cross_wired",
        "surplus-passed-on": "none_cross_wired",
        "unasked-answer-kept": "none_cross_wired",
    },
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-6.3",
    cost_s=1,
)
def test_surplus_is_nobodys_answer(stage: Stage, listener: Listener) -> None:
    """An answer of a length, in chunks, and one to HEAD, each with another behind it, at once or a little later."""
    _, request = stage.to(listener)
    answers: tuple[tuple[str, tuple[str, str], bytes], ...] = (
        ("GET", ("Content-Length", "5"), b"whole"),
        ("GET", ("Transfer-Encoding", "chunked"), b"5\r\nwhole\r\n0\r\n\r\n"),
        ("HEAD", ("Content-Length", "5"), b""),
    )
    for number, ((method, framing, body), late_s) in enumerate(product(answers, (0.0, TORN_S))):
        identity = f"surplus-{number}"
        for backend in backends_behind(stage):
            other = signed_answer(backend.name, "of-nobody", ("Content-Length", "4"), body=b"else")
            asked = signed_answer(backend.name, identity, framing, body=body)
            backend.answer(Answer(raw=asked + other, torn=late_s, torn_at=len(asked)), id=identity)
        first = stage.raw(listener, request_head(request, identity, method=method), within=AT_ONCE_S)
        stage.wait(2 * TORN_S)
        others = stage.send(listener, n=2 * len(backends_behind(stage)))
        expect(none_cross_wired(stage.sync(), [*first, *others]))
        expect(all_answered(stage.history, others))


@check(
    "HTT-63",
    "An answer whose head comes in two pieces is passed on, and so are those after it on the same connection.",
    subject=listeners(within=serves),
    catches={"half-a-head-kept": "all_answered", "first-bytes-all-at-once": "all_answered"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-2.2",
)
def test_heads_in_two_pieces_are_read(stage: Stage, listener: Listener) -> None:
    for method, at in product(("GET", "HEAD"), (None, 1, 8)):  # in the middle, within "HTTP/", before the version
        for backend in backends_behind(stage):
            backend.answer(Answer(torn=TORN_S, torn_at=at))
        exchanges = stage.send(listener, n=2 * len(backends_behind(stage)), method=method)
        for backend in backends_behind(stage):
            backend.answer(Answer())
        exchanges += stage.send(listener, n=2 * len(backends_behind(stage)))
        expect(all_answered(stage.sync(), exchanges))


@check(
    "HTT-44",
    "A body is forwarded whatever the method, and no body is waited for where none was announced.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"body-of-delete-dropped": "whole_body"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-6",
)
def test_bodies_go_with_any_method(stage: Stage, listener: Listener) -> None:
    for method in METHODS:
        for body in (BODY, b""):
            exchange = stage.one(listener, method=method, body=body)
            expect(whole_body(stage.sync(), exchange, body, f"{method} with {len(body)} bytes"))
        expect(whole_body(stage.sync(), stage.one(listener, method=method), b"", f"{method} without a length"))


@check(
    "HTT-45",
    "A request behind one that is refused is not processed, and the one ahead of it has its answer.",
    subject=listeners(within=serves),
    catches={"refused-client-kept": "answered_before_refusal"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.6",
)
def test_nothing_behind_a_refused_request_is_processed(stage: Stage, listener: Listener) -> None:
    """Good, bad and good in one write; no reading tells where the bad one ends."""
    _, request = stage.to(listener)
    for number, wrong in enumerate((("Content-Length", "nothing"), ("Content-Length", "-1"))):
        ahead = request_head(request, f"ahead-{number}")
        bad = request_head(request, f"refused-{number}", wrong)
        behind = request_head(request, f"behind-{number}")
        answers = stage.raw(listener, ahead + bad + behind, within=AT_ONCE_S)
        ids = f"refused-{number}", f"behind-{number}"
        expect(answered_before_refusal(stage.sync(), answers, ids, f"{wrong[0]}: {wrong[1]}"))


@check(
    "HTT-46",
    "A target in absolute form reaches the backend in origin form, with its own authority as Host.",
    level=Level.EXTENDED,
    subject=listeners(lambda it: it.forwarded is None or it.forwarded.host == "keep", within=serves),
    catches={"authority-of-target-lost": "arrives_plainly", "authority-of-the-first": "arrive_in_turn"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2",
)
def test_absolute_targets_become_origin_form(stage: Stage, listener: Listener) -> None:
    _, request = stage.to(listener)
    for target in ("/", "/a/b?c=d", "?e=f", ""):
        exchange = stage.one(listener, target=f"http://{request.host}{target}", host="other.test")
        expect(arrives_plainly(stage.sync(), exchange, _origin(target), request.host))
    client = stage.client(keep_alive=True)
    alike = {"host": "other.test", "headers": [(ID_HEADER, "alike")]}  # whoever remembers heads finds them known
    sent = [client.send(listener, target=f"http://{authority}/", **alike) for authority in AUTHORITIES]
    if any(stage.sync().arrivals_of("alike")):
        expect(arrive_in_turn(stage.history, "alike", "Host", AUTHORITIES))
    else:
        expect(reach_nobody(stage.history, sent))  # a Host that is not the target's may be refused


def _origin(rest: str) -> str:
    return rest if rest.startswith("/") else f"/{rest}"


@check(
    "HTT-47",
    "A client that waits for 100 and is refused gets that answer, and its body goes nowhere.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"early-answer-connection-kept": "answers_in_step"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1",
)
def test_a_refused_expectation_is_told(stage: Stage, listener: Listener) -> None:
    """Backends refuse at the head; then one request each shows that no connection was left with half an upload."""
    for backend in backends_behind(stage):
        backend.answer(Answer(status=413, early=True))
    refused = [
        stage.one(listener, method="POST", body=BODY, expect_continue=True, within=3 * AT_ONCE_S)
        for _ in backends_behind(stage)
    ]
    for backend in backends_behind(stage):
        backend.answer(Answer())
    expect(answers_in_step(stage.sync(), refused, [413] * len(refused)))
    expect(all_answered(stage.history, stage.send(listener, n=2 * len(refused))))


@check(
    "HTT-48",
    "An answer that comes while its client is still sending reaches it.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"early-answer-torn": "answers_in_step"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.6",
    cost_s=1,
)
def test_early_answers_reach_their_clients(stage: Stage, listener: Listener) -> None:
    """A client sends all of a large body before it reads: a connection closed at once would take the answer away."""
    for backend in backends_behind(stage):
        backend.answer(Answer(status=413, early=True))
    early = stage.one(listener, method="POST", body=LARGE, deaf_s=DEAF_S, within=5 * AT_ONCE_S)
    expect(answers_in_step(stage.sync(), [early], [413]))


@check(
    "HTT-49",
    "An empty line before a request is read over.",
    level=Level.EXTENDED,
    subject=listeners(within=serves),
    catches={"empty-line-refused": "answers_pipelined"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-2.2",
)
def test_empty_lines_before_requests_are_read_over(stage: Stage, listener: Listener) -> None:
    """Before the first request of a connection, and behind the body of one, where old clients leave it."""
    _, request = stage.to(listener)
    first = request_head(request, "behind-a-line-0", ("Content-Length", "4"), method="POST") + b"body"
    second = request_head(request, "behind-a-line-1")
    answers = stage.raw(listener, b"\r\n" + first + b"\r\n" + second, within=AT_ONCE_S)
    expect(answers_pipelined(stage.sync(), answers))
