"""FLO: what may be tried again, where, and how often; counted at all backends."""

from __future__ import annotations

from typing import Any, Literal

from lbcheck.backends.script import HANG, Answer, Moment
from lbcheck.checks import check, pools
from lbcheck.client.outgoing import Pace
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.delivery import (
    never_repeated,
    repeats_bounded,
    retried_elsewhere,
    saved_from,
    tries_as_declared,
    whole_body,
)
from lbcheck.judges.heads import answers_in_step
from lbcheck.judges.overlap import OVERLAP, meets_fault
from lbcheck.lab.plays import keyed
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Backend, Pool
from lbcheck.verdict import expect

RFC_SAFE = "https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2"
PATIENCE_S = 2.0
KEYS = 30  # so many that some key wants the failing backends first, in whatever order
MOMENTS: tuple[Moment, ...] = ("all_read", "within_head", "after_head")
FAULTS: tuple[Literal["reset", "close"], ...] = ("reset", "close")
# One byte, more than one buffer of any of the products, and the same without a length.
BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a body of 1 byte", {"body": b"x"}),
    ("a body of 300 kB", {"body": b"0123456789" * 30_000}),
    ("a chunked body", {"body": b"0123456789" * 1_000, "chunked": True}),
)
REPEATED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a body of 10 bytes", {"body": b"0123456789"}),
    *BODIES[1:],
    ("a body in pieces", {"body": b"0123456789" * 120, "pace": Pace(500, 0.01)}),
    ("a chunked body in pieces", {"body": b"0123456789" * 120, "chunked": True, "pace": Pace(500, 0.01)}),
)


def usable(pool: Pool) -> list[Backend]:
    return [b for b in pool.backends if b.weight > 0 and b.state == "active" and not b.backup]


def several(pool: Pool) -> bool:
    return len(usable(pool)) > 1


def retries(on: str) -> Any:
    return lambda pool: several(pool) and pool.retries.attempts >= 1 and on in pool.retries.on


@check(
    "FLO-05",
    "A request that one backend refuses is tried at another, which answers.",
    subject=pools(retries("connect"), reads=lambda p: "reset" in p.retries.on),
    catches={
        "never-retries": "all_answered",
        "retry-same-backend": "all_answered",
        "refused-counts-as-reset": "all_answered",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-option%20redispatch",
)
def test_refused_is_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    refusing, *others = pool.backends
    refusing.refuse()

    exchanges = stage.send(pool, n=max(OVERLAP, 2 * len(pool.backends)))

    expect(meets_fault(stage.sync(), exchanges, "refuse", refusing.name))
    expect(all_answered(stage.sync(), exchanges, by=[b.name for b in others]))


def soon(pool: Pool) -> bool:
    return bool(retries("connect")(pool)) and pool.timeouts.connect <= 5


@check(
    "FLO-49",
    "A request that one backend lets wait for a connection is tried at another where connect and timeout are declared.",
    subject=pools(lambda p: soon(p) and "timeout" in p.retries.on),
    catches={"never-retries": "all_answered"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream",
    cost_s=3,
)
def test_a_blackhole_is_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    tried_elsewhere(stage, pool)


@check(
    "FLO-50",
    "A request that one backend lets wait for a connection is tried at another also where only connect is declared.",
    level=Level.EXTENDED,
    subject=pools(lambda p: soon(p) and "timeout" not in p.retries.on),
    needs={Feature.RETRIES_NO_CONNECTION},
    catches={"connect-timeout-not-retried": "all_answered"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-retry-on",
    cost_s=3,
)
def test_a_blackhole_is_a_failed_connection(stage: Stage, pool: StagedPool) -> None:
    tried_elsewhere(stage, pool)


def tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    """One backend's queue is full, so that attempts to connect get no answer at all; the others answer."""
    silent, *others = pool.backends
    silent.vanish()

    exchanges = stage.send(pool, n=max(OVERLAP, 2 * len(pool.backends)), within=20.0)

    expect(meets_fault(stage.sync(), exchanges, "blackhole", silent.name))
    expect(all_answered(stage.sync(), exchanges, by=[b.name for b in others]))


@check(
    "FLO-06",
    "A request whose connection is reset is tried at another backend, no more often than declared.",
    subject=pools(retries("reset")),
    catches={
        "retry-same-backend": "retried_elsewhere",
        "retry-once-too-often": "repeats_bounded",
        "delete-not-retried": "saved_from",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-retry-on",
)
def test_reset_is_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    first, *_ = pool.backends
    first.answer(Answer(fault="reset"))
    for exchange in stage.send(pool, n=2 * len(pool.backends)):
        if first.name in stage.sync().journey(exchange).backends:
            expect(retried_elsewhere(stage.history, exchange))
    for method in ("HEAD", "DELETE", "OPTIONS"):
        exchanges = stage.send(pool, n=2 * len(pool.backends), method=method)
        expect(saved_from(stage.sync(), exchanges, first.name))

    for backend in pool.backends:
        backend.answer(Answer(fault="reset"))
    expect(repeats_bounded(stage.sync(), stage.one(pool), most=1 + pool.spec.retries.attempts))


def alone(pool: Pool) -> bool:
    return len(pool.backends) == 1 == len(usable(pool)) and pool.retries.attempts > 0 and "reset" in pool.retries.on


@check(
    "FLO-59",
    "Where there is one backend alone a request is not repeated more often than declared either.",
    level=Level.EXTENDED,
    subject=pools(alone),
    catches={"repeats-by-backends": "repeats_bounded"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-retries",
)
def test_repeats_at_one_backend_are_bounded(stage: Stage, pool: StagedPool) -> None:
    pool.backends[0].answer(Answer(fault="reset"))
    exchange = stage.one(pool, within=PATIENCE_S + 10.0)
    expect(repeats_bounded(stage.sync(), exchange, most=1 + pool.spec.retries.attempts))


@check(
    "FLO-14",
    "Each repeat goes to a backend that has not failed the request yet, and there are as many as declared.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: retries("reset")(p) and 1 < p.retries.attempts < len(usable(p)) == len(p.backends),
        reads=lambda p: p.algorithm,
    ),
    catches={"retry-forgets-the-first": "retried_elsewhere", "retry-once-too-few": "tries_as_declared"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream_tries",
    cost_s=1,
)
def test_repeats_go_round(stage: Stage, pool: StagedPool) -> None:
    """As many backends fail as there are repeats, and keys are many: no request may meet one of them twice."""
    for backend in pool.backends:
        backend.answer(Answer(fault="reset"))
    expect(tries_as_declared(stage.sync(), stage.one(pool), 1 + pool.spec.retries.attempts))

    for sound in pool.backends[pool.spec.retries.attempts :]:
        sound.answer(Answer())
    for number in range(KEYS):
        exchange = stage.one(pool, **keyed(stage, pool, f"k{number}", number))
        if stage.sync().journey(exchange).backends != (exchange.backend,):
            expect(retried_elsewhere(stage.history, exchange))


def statuses(pool: Pool) -> list[int]:
    """Statuses that a repeat is declared for."""
    return [int(event) for event in pool.retries.on if event.isdigit()]


@check(
    "FLO-17",
    "A request that is answered with a status that `on` names is tried at another backend.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: several(p) and p.retries.attempts >= 1 and bool(statuses(p)), reads=lambda p: len(statuses(p)) > 1
    ),
    catches={
        "retry-ignores-statuses": "saved_from",
        "retry-first-status-only": "saved_from",
        "retry-server-errors-only": "saved_from",
    },
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream",
)
def test_declared_statuses_are_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    """One backend answers with each declared status: its requests must end at another."""
    sick, *_ = pool.backends
    for status in statuses(pool.spec):
        sick.answer(Answer(status=status))
        exchanges = stage.send(pool, n=2 * len(pool.backends) * stage.spec.claims.workers)
        expect(saved_from(stage.sync(), exchanges, sick.name))


@check(
    "FLO-18",
    "A request that is not answered in time is tried at another backend, where `on` names the timeout.",
    level=Level.EXTENDED,
    subject=pools(lambda p: retries("timeout")(p) and p.timeouts.response <= PATIENCE_S),
    catches={"retry-ignores-timeouts": "saved_from"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream",
    cost_s=2,
)
def test_timeouts_are_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    """One backend hangs: its requests must end at another after the response timeout."""
    sick, *_ = pool.backends
    sick.answer(HANG)
    within = 2 * (pool.spec.timeouts.response + pool.spec.timeouts.connect) + 5.0
    together = [stage.start(pool, within=within) for _ in range(len(pool.backends) * stage.spec.claims.workers)]
    exchanges = [pending.wait(within=within) for pending in together]
    expect(saved_from(stage.sync(), exchanges, sick.name))


@check(
    "FLO-11",
    "An error that `on` does not name is passed on, not tried again.",
    subject=pools(lambda p: several(p) and p.retries.attempts >= 1, reads=lambda p: bool(statuses(p))),
    catches={"retry-undeclared": "repeats_bounded"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-retry-on",
)
def test_undeclared_errors_are_passed_on(stage: Stage, pool: StagedPool) -> None:
    """Statuses beside those that are named, server's and client's."""
    for status in sorted({404, 429, 500, 502, 503, 504, 599} - set(statuses(pool.spec))):
        for backend in pool.backends:
            backend.answer(Answer(status=status))
        exchange = stage.one(pool)
        expect(repeats_bounded(stage.sync(), exchange, most=1))
        expect(answers_in_step(stage.history, [exchange], [status]))


@check(
    "FLO-07",
    "A POST or PATCH that a backend has read is never sent again, whatever its body and whenever the backend fails.",
    subject=pools(lambda p: several(p) and not p.retries.non_idempotent, reads=lambda p: p.retries),
    catches={
        "post-repeated": "never_repeated",
        "patch-repeated": "never_repeated",
        "answered-post-repeated": "never_repeated",
    },
    spec_link=RFC_SAFE,
    cost_s=2,
)
def test_read_post_is_never_repeated(stage: Stage, pool: StagedPool) -> None:
    for moment in MOMENTS:
        for what, request in BODIES:
            for fault in FAULTS:
                for backend in pool.backends:
                    backend.answer(Answer(fault=fault, moment=moment, body_size=50_000))
                exchange = stage.one(pool, method="POST", **request)
                expect(never_repeated(stage.sync(), exchange, f"{what}, {fault} at {moment}"))
    for backend in pool.backends:
        backend.answer(Answer(fault="reset"))
    expect(never_repeated(stage.sync(), stage.one(pool, method="PATCH", body=b"x"), "a reset"))
    for status in statuses(pool.spec):
        for backend in pool.backends:
            backend.answer(Answer(status=status))
        expect(never_repeated(stage.sync(), stage.one(pool, method="POST", body=b"x"), f"{status} in answer"))


@check(
    "FLO-08",
    "The body of a request that is tried again arrives whole.",
    subject=pools(retries("reset")),
    catches={"retry-truncates-body": "whole_body", "later-parts-not-held": "whole_body"},
    spec_link=RFC_SAFE,
)
def test_retried_body_is_whole(stage: Stage, pool: StagedPool) -> None:
    """At once, and in pieces of which the first has gone when the others come."""
    first, *_ = pool.backends
    for moment in ("all_read", "head_read"):
        first.answer(Answer(fault="reset", moment=moment))
        for what, request in REPEATED:
            for exchange in stage.send(pool, n=2 * len(pool.backends), method="PUT", **request):
                # What was not tried again says nothing of retries; a PUT that failed without one is FLO-06's matter.
                if len(stage.sync().arrivals_of(exchange.id)) > 1:
                    expect(whole_body(stage.history, exchange, request["body"], f"{what}, reset at {moment}"))


@check(
    "FLO-42",
    "A POST that failed is tried at another backend, body and all, where the pool declares that it may be.",
    level=Level.EXTENDED,
    subject=pools(lambda p: retries("reset")(p) and p.retries.non_idempotent),
    catches={"non-idempotent-undeclared": "saved_from"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream",
)
def test_declared_posts_are_tried_elsewhere(stage: Stage, pool: StagedPool) -> None:
    """One backend resets, or answers with a declared status: its POSTs must end at another."""
    sick, *_ = pool.backends
    faults = [Answer(fault="reset"), *(Answer(status=status) for status in statuses(pool.spec))]
    body = b"0123456789"
    for fault in faults:
        sick.answer(fault)
        exchanges = stage.send(pool, n=2 * len(pool.backends) * stage.spec.claims.workers, method="POST", body=body)
        expect(saved_from(stage.sync(), exchanges, sick.name))
        for exchange in exchanges:
            expect(whole_body(stage.history, exchange, body, "a POST"))


@check(
    "FLO-12",
    "A POST that meets a reset on a kept connection is not sent again.",
    subject=pools(lambda p: several(p) and not p.retries.non_idempotent, reads=lambda p: p.retries),
    catches={"stale-post-repeated": "never_repeated"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1",
)
def test_post_on_a_kept_connection_is_not_repeated(stage: Stage, pool: StagedPool) -> None:
    for _ in range(3):
        for backend in pool.backends:
            backend.answer(Answer())
        stage.send(pool, rounds=4)  # connections to every backend are kept from now on
        for backend in pool.backends:
            backend.answer(Answer(fault="reset"))
        expect(never_repeated(stage.sync(), stage.one(pool, method="POST", body=b"x"), "a reset on a kept connection"))
