"""FLO: an answer that its backend did not finish."""

from __future__ import annotations

from typing import Literal

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.judges.delivery import allowed, cut_is_seen, honest_error
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

RFC_INCOMPLETE = "https://www.rfc-editor.org/rfc/rfc9112#section-8"
FRAMINGS: tuple[Literal["length", "chunked"], ...] = ("length", "chunked")


def plain(pool: Pool) -> bool:
    return all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)


@check(
    "FLO-09",
    "An answer that is cut in its body is never passed off as a whole one, nor continued from elsewhere.",
    subject=pools(plain),
    catches={"cut-body-completed": "cut_is_seen"},
    spec_link=RFC_INCOMPLETE,
)
def test_cut_answer_is_not_whole(stage: Stage, pool: StagedPool) -> None:
    for framing in FRAMINGS:
        for fault in ("close", "reset"):
            for backend in pool.backends:
                backend.answer(Answer(fault=fault, moment="within_body", body_size=100_000, framing=framing))
            exchange = stage.one(pool)
            expect(cut_is_seen(exchange, f"{framing}, {fault} in the body"))


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
