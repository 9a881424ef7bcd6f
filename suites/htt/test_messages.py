"""HTT: bodies, bodiless answers, and connections that several requests share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from lbcheck.backends.script import Answer
from lbcheck.checks import check, listeners, serves
from lbcheck.client.outgoing import Pace
from lbcheck.history import History
from lbcheck.judges.answers import all_answered
from lbcheck.judges.delivery import none_cross_wired, whole_answer, whole_body
from lbcheck.judges.heads import answers_in_step, lets_go_on
from lbcheck.lab.stage import Stage, StagedBackend
from lbcheck.spec.model import Listener
from lbcheck.verdict import expect

RFC_BODY = "https://www.rfc-editor.org/rfc/rfc9112#section-6.3"
WITHIN_S = 3.0
BODY = bytes(range(256)) * 2048  # 512 kB: more than any product's buffers


def arrived(ids: Sequence[str], history: History) -> bool:
    return all(history.arrivals_of(identity) for identity in ids)


def backends_behind(stage: Stage) -> list[StagedBackend]:
    return [backend for pool in stage.spec.pools for backend in stage.pool(pool.name).backends]


@check(
    "HTT-07",
    "After a HEAD, a 204 or a 304 the next request on the same connection gets its own answer.",
    subject=listeners(within=serves),
    catches={"bodiless-answer-waits": "answers_in_step", "not-modified-has-body": "answers_in_step"},
    spec_link=RFC_BODY,
)
def test_bodiless_answers_keep_in_step(stage: Stage, listener: Listener) -> None:
    """Bare, and with fields that would give a body to another answer."""
    length = (("Content-Length", "7"),)
    for method, answer in (
        ("HEAD", Answer()),
        ("HEAD", Answer(framing="chunked")),
        ("HEAD", Answer(status=404, body_size=100_000)),
        ("HEAD", Answer(status=304)),
        ("GET", Answer(status=204)),
        ("GET", Answer(status=304)),
        ("GET", Answer(status=304, headers=length)),
    ):
        for backend in backends_behind(stage):
            backend.answer(answer)
        client = stage.client(keep_alive=True)
        first = client.send(listener, method=method)
        for backend in backends_behind(stage):
            backend.answer(Answer())
        second = client.send(listener)
        expect(answers_in_step(stage.sync(), [first, second], [answer.status, 200]))


@check(
    "HTT-08",
    "Bodies go through unchanged, both ways, with a length and in chunks.",
    subject=listeners(within=serves),
    catches={"body-truncated": "whole_body", "empty-chunks-without-end": "whole_answer"},
    spec_link=RFC_BODY,
)
def test_bodies_are_unchanged(stage: Stage, listener: Listener) -> None:
    for chunked in (False, True):
        what = "chunked" if chunked else "with a length"
        exchange = stage.one(listener, method="POST", body=BODY, chunked=chunked)
        expect(whole_body(stage.sync(), exchange, BODY, f"a request {what}"))
    framings: tuple[tuple[Literal["length", "chunked", "close"], str], ...] = (
        ("length", "with a length"),
        ("chunked", "chunked"),
        ("close", "ended by the close"),
    )
    for framing, what in framings:
        for backend in backends_behind(stage):
            backend.answer(Answer(body=BODY, framing=framing))
        expect(whole_answer(stage.one(listener), BODY, f"an answer {what}"))
        for backend in backends_behind(stage):
            backend.answer(Answer(body=b"", framing=framing))
        for kept in (False, True):
            exchange = stage.client(keep_alive=kept).send(listener, within=WITHIN_S)
            expect(whole_answer(exchange, b"", f"an empty answer {what}"))


@check(
    "HTT-09",
    "A request that expects 100-continue is let go on, and its body arrives.",
    subject=listeners(within=serves),
    catches={"continue-swallowed": "lets_go_on"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1",
)
def test_expect_continue(stage: Stage, listener: Listener) -> None:
    exchange = stage.one(listener, method="POST", body=b"after the go-ahead", expect_continue=True)
    expect(lets_go_on(exchange))
    expect(whole_body(stage.sync(), exchange, b"after the go-ahead", "a body sent after 100"))


@check(
    "HTT-10",
    "Clients that share connections to the backends never see each other's answers.",
    subject=listeners(within=serves),
    catches={"dirty-connection-reused": "all_answered"},
    spec_link="https://portswigger.net/research/http-desync-attacks-request-smuggling-reborn",
    cost_s=2,
)
def test_shared_connections_do_not_cross(stage: Stage, listener: Listener) -> None:
    together = [stage.start(listener, target=f"/{i}", body=b"x" * i, method="PUT") for i in range(20)]
    exchanges = [pending.wait(within=10.0) for pending in together]
    for size in (10, 300_000):
        for backend in backends_behind(stage):
            backend.answer(Answer(body_size=size, hold=True))
        gone = [stage.start(listener) for _ in range(4)]
        stage.wait_for(partial(arrived, [pending.id for pending in gone]), within=2.0)
        for pending in gone:
            pending.abort()
        # Their successors come while the answers of those that went are still to be given.
        successors = [stage.start(listener, target=f"/after/{i}") for i in range(4)]
        stage.wait(0.05)
        for backend in backends_behind(stage):
            backend.release()
            backend.answer(Answer())
        exchanges += [pending.wait(within=10.0) for pending in successors]
        exchanges += stage.send(listener, n=8)
    for backend in backends_behind(stage):
        backend.answer(Answer(body_size=2_000_000, rate=20_000_000.0))
    for _ in range(4):
        pending = stage.start(listener)
        stage.wait_for(partial(arrived, [pending.id]), within=2.0)
        stage.wait(0.02)
        pending.abort()
    for backend in backends_behind(stage):
        backend.answer(Answer())
    exchanges += stage.send(listener, n=8)

    expect(none_cross_wired(stage.sync(), exchanges))
    expect(all_answered(stage.history, exchanges))


@check(
    "HTT-13",
    "A backend's connection is not used again when its answer came before all of the request's body was sent.",
    subject=listeners(within=serves),
    catches={"early-answer-connection-kept": "all_answered"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.3",
    cost_s=1,
)
def test_early_answers_leave_no_connection(stage: Stage, listener: Listener) -> None:
    """Backends answer at the head of a long upload; a connection that is kept would take the next head for its body."""
    backends = backends_behind(stage)
    for backend in backends:
        backend.answer(Answer(early=True))
    for _ in backends:
        stage.one(listener, method="POST", body=BODY, pace=Pace(len(BODY) // 8, 0.02))
    for backend in backends:
        backend.answer(Answer())
    expect(all_answered(stage.sync(), stage.send(listener, n=3 * len(backends), within=3.0)))
