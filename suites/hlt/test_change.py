"""HLT: probes after a reload, of the same check and of another."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.backends.script import Answer
from lbcheck.checks import changes_losslessly, check, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.balance import gets_nothing, starves_nobody
from lbcheck.judges.health import grace_of
from lbcheck.lab.plays import check_of, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Pool, Protocol, Spec
from lbcheck.verdict import expect

NEW_CODE = 218
RELOAD = "https://docs.haproxy.org/2.6/management.html#4"


def http_checked(pool: Pool) -> bool:
    plain = all(b.weight == 1 and not b.backup and b.state == "active" for b in pool.backends)
    check = pool.health_check
    return plain and len(pool.backends) > 1 and check is not None and check.protocol is Protocol.HTTP


@check(
    "HLT-21",
    "Probes go on after a reload: a backend that fails then is found out.",
    subject=pools(lambda p: http_checked(p) and p.all_unhealthy == "refuse", within=changes_losslessly),
    catches={"reload-stops-probes": "gets_nothing"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    timed=True,
    cost_s=2,
)
def test_probes_go_on_after_a_reload(stage: Stage, pool: StagedPool) -> None:
    stage.reload()
    sick = pool.backends[0]
    sick.fail_probes()
    wait_out(stage, pool)

    expect(gets_nothing(stage.send(pool, rounds=4), [sick.name]))


@check(
    "HLT-22",
    "A health check that a reload changes is carried out as the new configuration says.",
    level=Level.EXTENDED,
    subject=pools(lambda p: http_checked(p) and not p.health_check.accepts(NEW_CODE), within=changes_losslessly),
    catches={"reload-keeps-old-check": "gets_nothing"},
    needs={Feature.RELOAD, Feature.SUCCESS_CODES},
    spec_link=RELOAD,
    timed=True,
    cost_s=2,
)
def test_a_changed_check_is_carried_out(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    other = replace(pool.spec, health_check=replace(check, success_codes=str(NEW_CODE)))
    stage.reload(with_pool(stage.spec, other))
    as_before, *others = pool.backends
    for backend in others:
        backend.answer_probes(then=Answer(status=NEW_CODE))
    wait_out(stage, pool)
    for backend in others:
        wait_in(stage, pool, backend)

    expect(gets_nothing(stage.send(pool, rounds=4), [as_before.name]))


def counts_long(spec: Spec, pool: Pool) -> bool:
    """Does it take both thresholds longer to be reached than a reload may take?"""
    check = check_of(pool)
    shortest = min(check.healthy_threshold, check.unhealthy_threshold)
    return changes_losslessly(spec, pool) and (shortest - 2) * check.interval > spec.claims.reload_within


@check(
    "HLT-23",
    "What has been counted of probes outlives a reload: who reloads again and again still finds a sick backend.",
    level=Level.EXTENDED,
    subject=pools(lambda p: http_checked(p) and p.all_unhealthy == "refuse", within=counts_long),
    catches={"reload-forgets-streaks": "gets_nothing"},
    needs={Feature.RELOAD},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#3.1-server-state-base",
    timed=True,
    cost_s=8,
)
def test_streaks_outlive_a_reload(stage: Stage, pool: StagedPool) -> None:
    """Reloads come more often than a threshold is reached; out and back again must come in time all the same."""
    sick = pool.backends[0]
    sick.fail_probes()
    reload_until(stage, pool, check_of(pool).unhealthy_threshold)
    without = stage.send(pool, rounds=4)
    sick.pass_probes()
    reload_until(stage, pool, check_of(pool).healthy_threshold)

    expect(gets_nothing(without, [sick.name]))
    expect(starves_nobody(stage.send(pool, rounds=4), [b.name for b in pool.backends]))


def reload_until(stage: Stage, pool: StagedPool, threshold: int) -> None:
    """Reloads, with less than `threshold` probes between two of them, for as long as a change of health may take."""
    check = check_of(pool)
    _, latest = check.detection(threshold)
    end = stage.now + latest + grace_of(check, stage.slack)
    while stage.now < end:
        began = stage.now
        stage.reload()
        stage.wait(max(0.0, (threshold - 2) * check.interval - (stage.now - began)))


@check(
    "HLT-29",
    "A backend that fails its probes while it drains is out when it is registered again, until it is well.",
    level=Level.EXTENDED,
    subject=pools(lambda p: http_checked(p) and p.all_unhealthy == "refuse", within=changes_losslessly),
    catches={"draining-is-not-probed": "gets_nothing"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link="https://docs.haproxy.org/2.6/management.html#9.3-set%20server",
    timed=True,
    cost_s=4,
)
def test_who_fails_while_draining_stays_out(stage: Stage, pool: StagedPool) -> None:
    leaving = pool.backends[0]
    leaving.drain()
    leaving.fail_probes()
    wait_out(stage, pool)
    leaving.register()
    sick = stage.send(pool, rounds=4)
    leaving.pass_probes()
    wait_in(stage, pool, leaving)

    expect(gets_nothing(sick, [leaving.name]))
    expect(starves_nobody(stage.send(pool, rounds=4), [b.name for b in pool.backends]))
