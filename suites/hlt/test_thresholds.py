"""HLT: thresholds, judged by counted probes: exactly at the threshold, and just below it both ways."""

from __future__ import annotations

from lbcheck.backends.script import OK, Answer
from lbcheck.checks import check, pools
from lbcheck.judges.health import (
    grace_of,
    late_for,
    leaves_after,
    never_ejected,
    rate_for,
    results_of,
    returns_after,
    stays_out,
)
from lbcheck.lab.plays import check_of, wait_probes, wait_ramp
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Protocol
from lbcheck.verdict import expect

FAIL = Answer(status=500)
TURNS = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN, Algorithm.RANDOM)
HAPROXY_FALL = "https://docs.haproxy.org/2.6/configuration.html#5.2-fall"
HAPROXY_RISE = "https://docs.haproxy.org/2.6/configuration.html#5.2-rise"
ENVOY_CHECKS = "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking"


def visible(pool: Pool) -> bool:
    """Every backend gets a share of any client's requests, so that being passed over shows."""
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    sticky_by_address = pool.stickiness is not None and pool.stickiness.type == "source_ip"
    checked = pool.health_check is not None and pool.health_check.protocol is Protocol.HTTP
    return plain and len(pool.backends) > 1 and pool.algorithm in TURNS and not sticky_by_address and checked


def take_out(stage: Stage, pool: StagedPool, backend: StagedBackend) -> None:
    """Fails every probe until the backend must be out."""
    check, since = check_of(pool), stage.now
    backend.answer_probes(then=FAIL)
    wait_probes(stage, pool, backend, check.unhealthy_threshold, since)
    stage.wait(grace_of(check, stage.slack))


@check(
    "HLT-03",
    "A backend leaves after `unhealthy_threshold` failed probes in a row, and not one sooner.",
    subject=pools(visible, reads=lambda p: p.health_check.unhealthy_threshold),
    catches={"unhealthy-one-late": "leaves_after", "unhealthy-one-early": "leaves_after"},
    spec_link=HAPROXY_FALL,
    timed=True,
    cost_s=2,
)
def test_leaves_at_the_threshold(stage: Stage, pool: StagedPool) -> None:
    check, sick = check_of(pool), pool.backends[0]
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        stage.wait(check.interval)
        since = stage.now
        sick.answer_probes(then=FAIL)
        wait_probes(stage, pool, sick, check.unhealthy_threshold, since)
        stage.wait(2 * check.interval)

    probes = results_of(stage.sync(), sick.name, check, since=since)
    grace = grace_of(check, stage.slack)
    expect(
        leaves_after(
            stage.history,
            pool.spec,
            sick.name,
            probes,
            check.unhealthy_threshold,
            end=stage.now,
            grace=grace,
            late=late_for(pool.spec, stage.slack, stage.spec.claims.workers),
            workers=stage.spec.claims.workers,
        )
    )


@check(
    "HLT-04",
    "One failure less than `unhealthy_threshold`, again and again, takes nobody out: a success ends the streak.",
    subject=pools(
        lambda p: visible(p) and p.health_check.unhealthy_threshold > 1,
        reads=lambda p: p.health_check.unhealthy_threshold,
    ),
    catches={"failures-accumulate": "never_ejected"},
    spec_link=ENVOY_CHECKS,
    timed=True,
    cost_s=3,
)
def test_success_ends_the_failing_streak(stage: Stage, pool: StagedPool) -> None:
    check, sick = check_of(pool), pool.backends[0]
    pattern = [*[FAIL] * (check.unhealthy_threshold - 1), OK] * 3
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        start = stage.now
        sick.answer_probes(*pattern, then=OK)
        wait_probes(stage, pool, sick, len(pattern), start)
        stage.wait(check.interval)

    workers = stage.spec.claims.workers
    late = late_for(pool.spec, stage.slack, workers)
    expect(never_ejected(stage.sync(), pool.spec, sick.name, start, stage.now, late=late, workers=workers))


@check(
    "HLT-05",
    "A backend returns after `healthy_threshold` good probes in a row, and not one sooner.",
    subject=pools(visible, reads=lambda p: p.health_check.healthy_threshold),
    catches={"healthy-one-late": "returns_after", "healthy-one-early": "returns_after"},
    spec_link=HAPROXY_RISE,
    timed=True,
    cost_s=3,
)
def test_returns_at_the_threshold(stage: Stage, pool: StagedPool) -> None:
    check, sick = check_of(pool), pool.backends[0]
    take_out(stage, pool, sick)
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        since = stage.now
        sick.answer_probes(then=OK)
        wait_probes(stage, pool, sick, check.healthy_threshold, since)
        stage.wait(2 * check.interval)
        wait_ramp(stage, pool)

    probes = results_of(stage.sync(), sick.name, check, since=since)
    grace = grace_of(check, stage.slack)
    expect(
        returns_after(
            stage.history,
            pool.spec,
            sick.name,
            probes,
            check.healthy_threshold,
            end=stage.now,
            grace=grace,
            late=late_for(pool.spec, stage.slack, stage.spec.claims.workers),
            workers=stage.spec.claims.workers,
        )
    )


@check(
    "HLT-06",
    "One success less than `healthy_threshold`, again and again, brings nobody back: a failure ends the streak.",
    subject=pools(
        lambda p: visible(p) and p.health_check.healthy_threshold > 1,
        reads=lambda p: p.health_check.healthy_threshold,
    ),
    catches={"successes-accumulate": "stays_out"},
    spec_link=ENVOY_CHECKS,
    timed=True,
    cost_s=4,
)
def test_failure_ends_the_good_streak(stage: Stage, pool: StagedPool) -> None:
    check, sick = check_of(pool), pool.backends[0]
    take_out(stage, pool, sick)
    pattern = [*[OK] * (check.healthy_threshold - 1), FAIL] * 3
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        start = stage.now
        sick.answer_probes(*pattern, then=FAIL)
        wait_probes(stage, pool, sick, len(pattern), start)
        stage.wait(check.interval)

    expect(stays_out(stage.sync(), pool.spec, sick.name, start, stage.now, workers=stage.spec.claims.workers))
