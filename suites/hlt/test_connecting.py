"""HLT: probes that get no connection, which is all that TCP checks ask for."""

from __future__ import annotations

from collections.abc import Callable

from lbcheck.checks import check, pools
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import starves_nobody
from lbcheck.judges.health import silence_limit
from lbcheck.judges.overlap import OVERLAP, meets_fault
from lbcheck.lab.plays import check_of, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Protocol
from lbcheck.verdict import expect

ALB_CHECKS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"
TURNS = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN, Algorithm.RANDOM)


def tcp_checked(pool: Pool) -> bool:
    return pool.health_check is not None and pool.health_check.protocol is Protocol.TCP and len(pool.backends) > 1


def checked(pool: Pool) -> bool:
    return pool.health_check is not None and len(pool.backends) > 1 and spreads(pool)


def spreads(pool: Pool) -> bool:
    """Does every backend get some of one client's requests?"""
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    sticky_by_address = pool.stickiness is not None and pool.stickiness.type == "source_ip"
    return plain and pool.algorithm in TURNS and not sticky_by_address


@check(
    "HLT-10",
    "A TCP check takes a backend out when it refuses connections, and brings it back when it accepts.",
    subject=pools(tcp_checked),
    catches={"tcp-check-always-good": "all_answered"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-check",
    timed=True,
    cost_s=3,
)
def test_tcp_check(stage: Stage, pool: StagedPool) -> None:
    sick = pool.backends[0]
    out_and_back(stage, pool, "refuse", sick.refuse, sick.accept)


@check(
    "HLT-34",
    "A backend that takes no connection is out when its probes have waited in vain, and back when it takes them.",
    subject=pools(checked, reads=lambda p: p.health_check.protocol),
    catches={"probe-waits-for-a-connection": "all_answered"},
    spec_link=ALB_CHECKS,
    timed=True,
    cost_s=4,
)
def test_a_blackhole_is_out_and_back(stage: Stage, pool: StagedPool) -> None:
    """One backend's queue is full, so that attempts to connect get no answer at all.

    A probe may wait for its connection until the next is due: HAProxy's `timeout check` begins with the connection.
    """
    sick, health = pool.backends[0], check_of(pool)
    out_and_back(
        stage, pool, "blackhole", sick.vanish, sick.appear, more_s=health.unhealthy_threshold * health.interval
    )


def out_and_back(
    stage: Stage,
    pool: StagedPool,
    fault: str,
    leave: Callable[[], None],
    come: Callable[[], None],
    more_s: float = 0.0,
) -> None:
    sick, *others = pool.backends
    leave()
    wait_out(stage, pool)
    stage.wait(more_s)
    without = stage.send(pool, n=max(OVERLAP, 3 * len(pool.backends)), within=20.0)
    come()
    wait_in(stage, pool, sick)
    most = max(silence_limit(pool.spec, b.name, stage.spec.claims.workers) for b in pool.backends)
    again = stage.send(pool, n=most + len(pool.backends))

    expect(meets_fault(stage.sync(), without, fault, sick.name))
    expect(all_answered(stage.history, without, by=[b.name for b in others]))
    expect(all_answered(stage.history, again))
    if spreads(pool.spec):  # else one client's requests may lawfully stay where they are
        expect(starves_nobody(again, [b.name for b in pool.backends]))
