"""HLT: what counts as a good probe and what as a failed one. Several backends try one answer each at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from lbcheck.backends.script import HANG, OK, Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.health import grace_of, late_for, never_ejected, rate_for, stays_out
from lbcheck.lab.plays import check_of, wait_ramp
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import HealthCheck, Pool, Protocol
from lbcheck.verdict import expect

LATE = 1.3  # of the time-out: beyond it whatever the slack, and as far as can be from the next probe
CODES = (200, 201, 204, 299, 301, 302, 307, 400, 404, 429, 500, 503)
ALB_CHECKS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"
HAPROXY_EXPECT = "https://docs.haproxy.org/2.6/configuration.html#4.2-http-check%20expect"


def visible(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    checked = pool.health_check is not None and pool.health_check.protocol is Protocol.HTTP
    turns = pool.algorithm.value in ("round_robin", "weighted_round_robin") and pool.stickiness is None
    return plain and len(pool.backends) > 2 and turns and checked


def settle_on(stage: Stage, pool: StagedPool, answers: Sequence[Answer]) -> float:
    """Probes get these answers (the last backend stays well) until all must be noticed; the moment when that is so."""
    check = check_of(pool)
    for backend, answer in zip(pool.backends, answers, strict=False):
        backend.answer_probes(then=answer)
    _, leaving = check.detection()
    _, returning = check.detection(check.healthy_threshold)
    stage.wait(max(leaving, returning) + grace_of(check, stage.slack))
    wait_ramp(stage, pool)
    return stage.now


def watch(stage: Stage, pool: StagedPool, answers: Sequence[tuple[Answer, bool]]) -> None:
    """Each backend is in or out as its answer says; all of them are well again between two batches."""
    width, workers = len(pool.backends) - 1, stage.spec.claims.workers
    for first in range(0, len(answers), width):
        batch = answers[first : first + width]
        start = settle_on(stage, pool, [answer for answer, _ in batch])
        with stage.traffic(pool, rate=rate_for(pool.spec, workers)):
            stage.wait(2 * check_of(pool).interval)
        history = stage.sync()
        for backend, (_, good) in zip(pool.backends, batch, strict=False):
            if good:
                late = late_for(pool.spec, stage.slack, workers)
                expect(never_ejected(history, pool.spec, backend.name, start, stage.now, late=late, workers=workers))
            else:
                expect(stays_out(history, pool.spec, backend.name, start, stage.now, workers=workers))
        settle_on(stage, pool, [OK] * width)


def telling_codes(check: HealthCheck) -> list[int]:
    """Codes on both sides of each edge of `success_codes`, as far as probes can be answered with them."""
    inside = [c for c in CODES if check.accepts(c)]
    outside = [c for c in CODES if not check.accepts(c)]
    edges = [c for c in outside if check.accepts(c - 1) or check.accepts(c + 1)]
    return list(dict.fromkeys([inside[0], inside[-1], *edges, *outside[:2], outside[-1]]))


@check(
    "HLT-07",
    "A probe is good when its status is one of `success_codes`, and redirects are not followed.",
    subject=pools(visible, reads=lambda p: p.health_check.success_codes),
    catches={"any-status-is-good": "stays_out", "success-codes-cut": "never_ejected", "redirect-is-good": "stays_out"},
    spec_link=HAPROXY_EXPECT,
    timed=True,
    cost_s=4,
)
def test_success_codes(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    # A redirect points at a path that is answered well: who follows it takes the backend for healthy.
    location = (("Location", "/"),)
    answers = [(Answer(status=c, headers=location if 300 <= c < 400 else ()), c) for c in telling_codes(check)]
    watch(stage, pool, [(answer, check.accepts(code)) for answer, code in answers])


@check(
    "HLT-08",
    "A probe that stalls has failed after `timeout`; one that is slow but in time is good.",
    subject=pools(visible, reads=lambda p: p.health_check.timeout),
    catches={
        "stall-is-good": "stays_out",
        "probe-timeout-ignored": "stays_out",
        "probe-may-take-the-interval": "stays_out",
    },
    spec_link=ALB_CHECKS,
    timed=True,
    cost_s=3,
)
def test_stalled_probes_fail(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    slow, answers = Answer(delay=check.timeout / 2), [(HANG, False)]
    if check.timeout < check.interval:  # late, and yet before the next probe
        late = min(LATE * check.timeout, (check.timeout + check.interval) / 2)
        answers.append((Answer(delay=late), False))
    watch(stage, pool, [*answers, (slow, True)])


@check(
    "HLT-09",
    "A probe that is reset, closed, cut or answered with garbage has failed.",
    subject=pools(visible),
    catches={"broken-probe-is-good": "stays_out"},
    spec_link=ALB_CHECKS,
    timed=True,
    cost_s=3,
)
def test_broken_probes_fail(stage: Stage, pool: StagedPool) -> None:
    reset = Answer(fault="reset", moment="all_read")
    closed = Answer(fault="close", moment="all_read")
    garbage = Answer(raw=b"This is no HTTP at all.\r\n\r\n", keep_alive=False)
    cut = Answer(fault="close", moment="within_head")
    watch(stage, pool, [(answer, False) for answer in (reset, closed, garbage, cut)])


@check(
    "HLT-32",
    "Interim answers to a probe are read over: the final one decides.",
    level=Level.EXTENDED,
    subject=pools(visible),
    catches={"probe-ends-with-interim": "never_ejected"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.2",
    timed=True,
    cost_s=2,
)
def test_interim_answers_to_probes(stage: Stage, pool: StagedPool) -> None:
    bad = telling_codes(check_of(pool))[-1]
    early, twice, failing = Answer(interim=(103,)), Answer(interim=(100, 103)), Answer(status=bad, interim=(103,))
    watch(stage, pool, [(early, True), (failing, False), (twice, True)])
