"""HLT: what a backend counts as before its first probe. These stages begin unsettled, as soon as the target accepts."""

from __future__ import annotations

from collections.abc import Callable

from lbcheck.checks import check, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.boot import first_result_decides, serves_from_the_start
from lbcheck.judges.health import grace_of, late_for, rate_for, results_of, returns_after, waits_for_first_result
from lbcheck.lab.plays import check_of, wait_probes, wait_ramp
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool, Protocol
from lbcheck.verdict import expect

ENVOY_BOOT = "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking"
HAPROXY_BOOT = "https://docs.haproxy.org/3.2/configuration.html#5.2-init-state"
ALB_INITIAL = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"
LEAST_TIMEOUT_S = 0.2  # a slow probe is answered within it: less leaves no time to see what is served until then


def begins(initial: str) -> Callable[[Pool], bool]:
    def where(pool: Pool) -> bool:
        check, plain = pool.health_check, all(b.weight > 0 and not b.backup for b in pool.backends)
        turns = pool.algorithm.value in ("round_robin", "weighted_round_robin") and pool.stickiness is None
        if check is None or not (plain and turns) or check.protocol is not Protocol.HTTP:
            return False
        seen = check.timeout >= LEAST_TIMEOUT_S and min(check.healthy_threshold, check.unhealthy_threshold) > 1
        kept = initial == "unknown" or pool.all_unhealthy == "refuse"  # a pool fails open once all are known to be out
        return seen and check.initial == initial and kept

    return where


@check(
    "HLT-14",
    "With `initial: healthy` a backend is served from the start, until it has failed `unhealthy_threshold` probes.",
    subject=pools(begins("healthy")),
    catches={"initial-always-unhealthy": "serves_from_the_start"},
    spec_link=HAPROXY_BOOT,
    needs={Feature.INITIAL_STATE},
    timed=True,
    opening="failing",
)
def test_initially_healthy_is_served(stage: Stage, pool: StagedPool) -> None:
    """Probes fail from the start: requests that end before any backend has failed enough of them must be answered."""
    check = check_of(pool)
    exchanges = stage.send(pool, rounds=2)
    probes = {b.name: results_of(stage.sync(), b.name, check) for b in pool.backends}
    expect(serves_from_the_start(exchanges, probes, check.unhealthy_threshold))


@check(
    "HLT-15",
    "With `initial: unhealthy` a backend gets nothing before `healthy_threshold` good probes in a row, then its turn.",
    subject=pools(begins("unhealthy")),
    catches={"initial-state-ignored": "waits_for_first_result"},
    spec_link=HAPROXY_BOOT,
    needs={Feature.INITIAL_STATE},
    timed=True,
    cost_s=2,
    opening="slow",
)
def test_initially_unhealthy_earns_its_turn(stage: Stage, pool: StagedPool) -> None:
    """Probes are good but slow from the start, so that what is served before and between the first of them shows."""
    check = check_of(pool)
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        wait_probes(stage, pool, pool.backends[-1], check.healthy_threshold, 0.0)
        stage.wait(2 * check.interval)
        wait_ramp(stage, pool)

    grace, workers = grace_of(check, stage.slack), stage.spec.claims.workers
    late = late_for(pool.spec, stage.slack, workers)
    probes = {b.name: results_of(stage.sync(), b.name, check) for b in pool.backends}
    expect(waits_for_first_result(stage.history, pool.spec, {n: seen[0].ended for n, seen in probes.items() if seen}))
    for name, seen in probes.items():
        threshold = check.healthy_threshold
        expect(
            returns_after(
                stage.history,
                pool.spec,
                name,
                seen,
                threshold,
                end=stage.now,
                grace=grace,
                late=late,
                workers=workers,
            )
        )


@check(
    "HLT-16",
    "With `initial: unknown` a backend gets nothing before its first result, and that result decides.",
    subject=pools(begins("unknown"), reads=lambda p: p.all_unhealthy),
    catches={
        "fail-open-while-unknown": "waits_for_first_result",
        "initial-state-ignored": "waits_for_first_result",
        "initial-always-unhealthy": "first_result_decides",
    },
    spec_link=ALB_INITIAL,
    needs={Feature.INITIAL_STATE},
    timed=True,
    cost_s=2,
    opening="slow",
)
def test_first_result_decides(stage: Stage, pool: StagedPool) -> None:
    """Probes are good but slow: nothing arrives before the first result, and all is answered before the second."""
    check = check_of(pool)
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)) as traffic:
        for backend in pool.backends:
            wait_probes(stage, pool, backend, 2, 0.0)
        stage.wait(check.interval / 4)

    probes = {b.name: results_of(stage.sync(), b.name, check) for b in pool.backends}
    expect(waits_for_first_result(stage.history, pool.spec, {n: seen[0].ended for n, seen in probes.items() if seen}))
    expect(first_result_decides(traffic.exchanges, probes, grace_of(check, stage.slack)))


@check(
    "HLT-30",
    "With `initial: unknown` a bad first result decides too: it then takes `healthy_threshold` good ones in a row.",
    level=Level.EXTENDED,
    subject=pools(begins("unknown"), all_unhealthy="refuse"),
    catches={"bad-first-result-ignored": "returns_after"},
    spec_link=ALB_INITIAL,
    needs={Feature.INITIAL_STATE},
    timed=True,
    cost_s=3,
    opening="failing",
)
def test_a_bad_first_result_decides(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    for backend in pool.backends:
        wait_probes(stage, pool, backend, 1, 0.0)
    with stage.traffic(pool, rate=rate_for(pool.spec, stage.spec.claims.workers)):
        since = stage.now
        for backend in pool.backends:
            backend.pass_probes()
        wait_probes(stage, pool, pool.backends[-1], check.healthy_threshold, since)
        stage.wait(2 * check.interval)
        wait_ramp(stage, pool)

    grace, workers = grace_of(check, stage.slack), stage.spec.claims.workers
    late = late_for(pool.spec, stage.slack, workers)
    for backend in pool.backends:
        seen = results_of(stage.sync(), backend.name, check, since=since)
        good, end = check.healthy_threshold, stage.now
        expect(
            returns_after(
                stage.history,
                pool.spec,
                backend.name,
                seen,
                good,
                end=end,
                grace=grace,
                late=late,
                workers=workers,
            )
        )
