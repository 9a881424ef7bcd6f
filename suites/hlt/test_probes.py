"""HLT: what a probe is: its shape, its pace, its first result."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import starves_nobody
from lbcheck.judges.delivery import allowed
from lbcheck.judges.health import (
    grace_of,
    keeps_pace,
    probe_shape,
    probes_at_their_port,
    probes_no_more_often,
    refuses_all,
    results_of,
)
from lbcheck.lab.plays import check_of, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Protocol
from lbcheck.verdict import expect

ALB_CHECKS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"
HAPROXY_CHECKS = "https://docs.haproxy.org/2.6/configuration.html#5.2-inter"

RATE = 150.0


def http_checked(pool: Pool) -> bool:
    return pool.health_check is not None and pool.health_check.protocol is Protocol.HTTP


@check(
    "HLT-01",
    "Probes go to the declared path with the declared method and Host, on the declared port.",
    subject=pools(http_checked, reads=lambda p: (p.health_check.path, p.health_check.method, p.health_check.host)),
    catches={
        "probe-wrong-path": "probe_shape",
        "probe-wrong-method": "probe_shape",
        "probe-wrong-host": "probe_shape",
    },
    spec_link=ALB_CHECKS,
    cost_s=1,
)
def test_probes_have_the_declared_shape(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    stage.wait(2 * check.interval)

    history = stage.sync()

    for backend in pool.backends:
        own = {backend.address, backend.address.rpartition(":")[0]}
        expect(probe_shape(history, backend.name, check, {check.host.lower()} if check.host else own))


@check(
    "HLT-02",
    "Probes come once an interval.",
    subject=pools(http_checked),
    catches={"probe-twice-as-often": "keeps_pace"},
    spec_link=HAPROXY_CHECKS,
    timed=True,
    cost_s=3,
)
def test_probes_keep_the_interval(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    since = stage.now
    stage.wait(9 * check.interval)

    history = stage.sync()

    for backend in pool.backends:
        expect(keeps_pace(results_of(history, backend.name, check, since=since), check, stage.slack))


@check(
    "HLT-11",
    "A pool whose backends all fail refuses honestly, or serves from all of them where it is to fail open.",
    subject=pools(http_checked, reads=lambda p: p.all_unhealthy),
    catches={"fails-open-uninvited": "refuses_all", "fail-open-refuses": "all_answered"},
    spec_link=ALB_CHECKS,
    timed=True,
    cost_s=2,
)
def test_all_unhealthy_as_declared(stage: Stage, pool: StagedPool) -> None:
    check = check_of(pool)
    for backend in pool.backends:
        backend.answer_probes(then=Answer(status=500))
    _, latest = check.detection()
    stage.wait(latest + grace_of(check, stage.slack))

    exchanges = stage.send(pool, rounds=3)

    if pool.spec.all_unhealthy == "fail_open":
        expect(all_answered(stage.sync(), exchanges))
    else:
        expect(refuses_all(exchanges, allowed(pool.spec.statuses.none_usable)))


def fails_open_with_backups(pool: Pool) -> bool:
    could = [b.backup for b in pool.backends if b.weight > 0 and b.state == "active"]
    mixed = 0 < sum(could) < len(could) and pool.stickiness is None
    return http_checked(pool) and mixed and pool.all_unhealthy == "fail_open"


@check(
    "HLT-33",
    "A pool with backups fails open to those primaries that may be used, and only while no backup is well either.",
    level=Level.EXTENDED,
    subject=pools(fails_open_with_backups, algorithm=Algorithm.ROUND_ROBIN),
    catches={
        "fail-open-takes-backups": "all_answered",
        "fail-open-before-backups": "all_answered",
        "fail-open-takes-weight-0": "all_answered",
        "fail-open-takes-draining": "all_answered",
        "fail-open-refuses": "all_answered",
    },
    spec_link="https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold",
    timed=True,
    cost_s=3,
)
def test_fails_open_to_primaries(stage: Stage, pool: StagedPool) -> None:
    """All fail, then a backup is well again, then a primary: who serves is each time another."""
    could = [b for b in pool.backends if b.spec.weight > 0 and b.spec.state == "active"]
    primaries = [b for b in could if not b.spec.backup]
    backup = next(b for b in could if b.spec.backup)
    for backend in pool.backends:
        backend.fail_probes()
    wait_out(stage, pool)
    all_out = stage.send(pool, rounds=3)
    backup.pass_probes()
    wait_in(stage, pool, backup)
    backup_well = stage.send(pool, rounds=2)
    primaries[-1].pass_probes()
    wait_in(stage, pool, primaries[-1])
    primary_well = stage.send(pool, rounds=2)

    expect(all_answered(stage.sync(), all_out, by=[b.name for b in primaries]))
    expect(starves_nobody(all_out, [b.name for b in primaries]))
    expect(all_answered(stage.history, backup_well, by=[backup.name]))
    expect(all_answered(stage.history, primary_well, by=[primaries[-1].name]))


@check(
    "HLT-19",
    "Under traffic too a backend is probed once an interval, no less often and no more.",
    level=Level.EXTENDED,
    subject=pools(http_checked),
    catches={"probes-starve-under-load": "keeps_pace", "probes-come-in-pairs": "probes_no_more_often"},
    spec_link=HAPROXY_CHECKS,
    timed=True,
    cost_s=3,
)
def test_probes_keep_the_interval_under_traffic(stage: Stage, pool: StagedPool) -> None:
    """Nine intervals under traffic: the median gap, and how many probes came in all, from the backends' journals."""
    check = check_of(pool)
    with stage.traffic(pool, rate=RATE):
        since = stage.now
        stage.wait(9 * check.interval)

    history = stage.sync()

    for backend in pool.backends:
        probes = results_of(history, backend.name, check, since=since)
        expect(probes_no_more_often(probes, check, stage.slack))
        expect(keeps_pace(probes, check, stage.slack))


@check(
    "HLT-20",
    "Where health has a port of its own, probes go there and nowhere else, and what they meet there decides.",
    subject=pools(
        lambda p: http_checked(p) and p.health_check.port is not None and len(p.backends) > 1,
    ),
    catches={"probe-wrong-port": "probes_at_their_port"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-port",
    timed=True,
    cost_s=2,
)
def test_probes_go_to_their_own_port(stage: Stage, pool: StagedPool) -> None:
    """Backends listen on both ports, and know probes by the declared one; what these meet takes one out and back."""
    sick, *others = pool.backends
    stage.wait(2 * check_of(pool).interval)
    for backend in pool.backends:
        expect(probes_at_their_port(stage.sync(), backend.name, check_of(pool)))
    sick.fail_probes()
    wait_out(stage, pool)
    without = stage.send(pool, rounds=3)
    sick.pass_probes()
    wait_in(stage, pool, sick)
    again = stage.send(pool, rounds=3)

    expect(all_answered(stage.sync(), without, by=[b.name for b in others]))
    expect(all_answered(stage.history, again))
    expect(starves_nobody(again, [b.name for b in pool.backends]))
