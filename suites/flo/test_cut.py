"""FLO: an answer that its backend did not finish."""

from __future__ import annotations

from typing import Literal

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import ID_HEADER
from lbcheck.judges.answers import all_answered
from lbcheck.judges.delivery import allowed, cut_is_seen, honest_error
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

RFC_INCOMPLETE = "https://www.rfc-editor.org/rfc/rfc9112#section-8"
FRAMINGS: tuple[Literal["length", "chunked"], ...] = ("length", "chunked")
CUT_WITHOUT_LENGTH: tuple[tuple[Literal["chunked", "close"], Literal["close", "reset"]], ...] = (
    ("chunked", "close"),
    ("chunked", "reset"),
    ("close", "reset"),
)
SHORT_S, SLOW_BYTES = 1.0, 30_000
WITHIN_S = 3.0


def plain(pool: Pool) -> bool:
    return all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)


@check(
    "FLO-09",
    "An answer that is cut in its body is never passed off as a whole one, nor continued from elsewhere.",
    subject=pools(plain),
    catches={"cut-body-completed": "cut_is_seen", "cut-answer-left-open": "cut_is_seen"},
    spec_link=RFC_INCOMPLETE,
)
def test_cut_answer_is_not_whole(stage: Stage, pool: StagedPool) -> None:
    for framing in FRAMINGS:
        for fault in ("close", "reset"):
            for backend in pool.backends:
                backend.answer(Answer(fault=fault, moment="within_body", body_size=100_000, framing=framing))
            for kept in (False, True):
                exchange = stage.client(keep_alive=kept).send(pool, within=WITHIN_S)
                expect(cut_is_seen(exchange, f"{framing}, {fault} in the body"))


@check(
    "FLO-15",
    "An answer that keeps coming is not cut, however long it takes: the response timeout is for its beginning.",
    level=Level.EXTENDED,
    subject=pools(lambda p: plain(p) and p.timeouts.response <= SHORT_S),
    catches={"timeout-for-the-whole-answer": "all_answered"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_read_timeout",
    timed=lambda p: {"response timeout": p.timeouts.response},
    cost_s=2,
)
def test_slow_answer_is_not_cut(stage: Stage, pool: StagedPool) -> None:
    """A body that trickles in small pieces for one and a half response timeouts, with no silence near one."""
    takes = 1.5 * pool.spec.timeouts.response
    for backend in pool.backends:
        backend.answer(Answer(body_size=SLOW_BYTES, rate=SLOW_BYTES / takes))
    together = [stage.start(pool, within=3 * takes + 5.0) for _ in pool.backends]
    exchanges = [pending.wait(within=3 * takes + 5.0) for pending in together]
    expect(all_answered(stage.sync(), exchanges))


@check(
    "FLO-16",
    "A client that knows no chunks can tell that an answer was cut too: its connection is reset, not closed.",
    level=Level.EXTENDED,
    subject=pools(plain),
    catches={"cut-ended-by-fin": "cut_is_seen"},
    spec_link=RFC_INCOMPLETE,
)
def test_cut_answer_is_not_whole_to_an_old_client(stage: Stage, pool: StagedPool) -> None:
    """A close without an error is the end of such an answer (RFC 9112 section 8): only RST says that it was none."""
    _, request = stage.to(pool)
    for framing, fault in CUT_WITHOUT_LENGTH:
        named = (("Host", request.host), (ID_HEADER, f"old-{framing}-{fault}"), *request.headers)
        fields = "".join(f"{name}: {value}\r\n" for name, value in named)
        head = f"{request.method} {request.target} HTTP/1.0\r\n{fields}\r\n".encode("latin-1")
        for backend in pool.backends:
            backend.answer(Answer(fault=fault, moment="within_body", body_size=100_000, framing=framing))
        for exchange in stage.raw(pool, head, within=WITHIN_S):
            # A backend that is asked in HTTP/1.0 sends no chunks: its own close would be an end.
            arrived_old = any(b" HTTP/1.0\r\n" in a.head for a in stage.sync().arrivals_of(exchange.id))
            if fault == "reset" or not arrived_old:
                expect(cut_is_seen(exchange, f"HTTP/1.0, {framing}, {fault} in the body"))


@check(
    "FLO-10",
    "A backend that closes or resets before its answer gives an honest error.",
    subject=pools(plain),
    catches={"reset-is-a-200": "honest_error", "own-error-is-500": "honest_error"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.6.3",
)
def test_broken_backend_is_an_honest_error(stage: Stage, pool: StagedPool) -> None:
    for fault in ("close", "reset"):
        for backend in pool.backends:
            backend.answer(Answer(fault=fault))
        # A POST, so that no retry stands between the failure and the error.
        exchange = stage.one(pool, method="POST", body=b"x")
        expect(honest_error(exchange, allowed(pool.spec.statuses.broken)))
