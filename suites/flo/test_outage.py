"""FLO: a backend dies, or all of them; errors are bounded, honest, and over when they should be."""

from __future__ import annotations

from lbcheck.backends.script import HANG
from lbcheck.checks import check, pools
from lbcheck.judges.answers import all_answered
from lbcheck.judges.delivery import allowed, bounded_outage, honest_error
from lbcheck.judges.health import grace_of, refuses_all
from lbcheck.judges.overlap import OVERLAP, meets_fault
from lbcheck.lab.plays import check_of, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

ALB_FAILS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html"
RATE = 100.0
PAUSE_S = 1.0  # before a repeat, as HAProxy makes it
COARSE = 1.25  # timers are not fine everywhere; other times of a pool are twice as long


def plain(pool: Pool) -> bool:
    return all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)


def checked(pool: Pool) -> bool:
    return plain(pool) and len(pool.backends) > 1 and pool.health_check is not None and pool.all_unhealthy == "refuse"


def forgives(pool: Pool) -> bool:
    """Does a retry hide a dead backend from a GET?"""
    return pool.retries.attempts >= 1 and {"connect", "reset"} <= set(pool.retries.on)


@check(
    "FLO-01",
    "When a backend is killed, errors end within the detection bound; with retries there are none.",
    subject=pools(checked, reads=lambda p: forgives(p)),
    catches={"dead-tried-now-and-then": "bounded_outage", "never-retries": "bounded_outage"},
    spec_link="https://sre.google/sre-book/load-balancing-datacenter/",
    timed=True,
    cost_s=3,
)
def test_killed_backend_is_a_bounded_outage(stage: Stage, pool: StagedPool) -> None:
    check, victim = check_of(pool), pool.backends[0]
    _, latest = check.detection()
    bound = latest + pool.spec.timeouts.connect + grace_of(check, stage.slack)
    with stage.traffic(pool, rate=RATE) as traffic:
        stage.wait(check.interval)
        began = stage.now
        victim.kill()
        stage.wait(bound + check.interval)

    expect(meets_fault(stage.sync(), traffic.exchanges, "kill", victim.name, until=began + bound))
    expect(
        bounded_outage(
            stage.history, traffic.exchanges, began=began, bound=bound, errors_allowed=not forgives(pool.spec)
        )
    )


@check(
    "FLO-02",
    "With every backend refusing connections a client gets an honest error at once.",
    subject=pools(plain),
    catches={"refused-is-a-404": "honest_error"},
    spec_link=ALB_FAILS,
    timed=lambda p: {"connect timeout": p.timeouts.connect},
)
def test_refused_is_an_honest_error(stage: Stage, pool: StagedPool) -> None:
    for backend in pool.backends:
        backend.refuse()

    exchange = stage.one(pool, within=20.0)

    statuses = allowed(pool.spec.statuses.refused) | allowed(pool.spec.statuses.none_usable)
    tries = 1 + pool.spec.retries.attempts
    expect(honest_error(exchange, statuses, latest=tries * pool.spec.timeouts.connect + 1.0 + stage.slack))


def soon(pool: Pool) -> bool:
    return plain(pool) and pool.timeouts.connect <= 5 and pool.health_check is None


@check(
    "FLO-48",
    "Backends that take no connection are given up after the connect timeout, no sooner: an honest error.",
    subject=pools(soon, reads=lambda p: (p.timeouts.connect, p.retries.attempts, "connect" in p.retries.on)),
    catches={"connect-waits-as-for-an-answer": "honest_error"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-timeout%20connect",
    timed=lambda p: {"connect timeout": p.timeouts.connect},
    cost_s=2,
)
def test_a_blackhole_is_given_up(stage: Stage, pool: StagedPool) -> None:
    """Every backend's queue is full, so that attempts to connect get no answer at all; one POST."""
    for backend in pool.backends:
        backend.vanish()
    timeout, said = pool.spec.timeouts.connect, pool.spec.statuses
    # What was not sent may be tried once more where nobody declared it.
    tries = 1 + max(pool.spec.retries.attempts if "connect" in pool.spec.retries.on else 0, 1)
    latest = tries * COARSE * timeout + (tries - 1) * PAUSE_S + stage.slack

    exchange = stage.one(pool, method="POST", body=b"x", within=latest + 5.0)

    statuses = allowed(said.timeout) | allowed(said.refused) | allowed(said.none_usable)
    expect(honest_error(exchange, statuses, earliest=timeout - stage.slack - 0.01, latest=latest))


@check(
    "FLO-03",
    "A backend that never answers gives an honest error after the response timeout, and not before.",
    subject=pools(lambda p: plain(p) and p.timeouts.response <= 5, reads=lambda p: p.timeouts.response),
    catches={"hang-answered-late": "honest_error"},
    spec_link="https://www.rfc-editor.org/rfc/rfc9110#section-15.6.5",
    timed=lambda p: {"response timeout": p.timeouts.response},
    cost_s=2,
)
def test_hang_is_a_timeout(stage: Stage, pool: StagedPool) -> None:
    """Connections to the backends have been kept from before for longer than the timeout."""
    timeout = pool.spec.timeouts.response
    stage.send(pool, n=2 * len(pool.backends))
    stage.wait(1.2 * timeout)
    for backend in pool.backends:
        backend.answer(HANG)
    tries = 1 + (pool.spec.retries.attempts if "timeout" in pool.spec.retries.on else 0)

    exchange = stage.one(pool, method="POST", body=b"x", within=tries * timeout + 5.0)

    latest = tries * (timeout + pool.spec.timeouts.connect) + stage.slack
    expect(
        honest_error(
            exchange, allowed(pool.spec.statuses.timeout), earliest=timeout - stage.slack - 0.01, latest=latest
        )
    )


@check(
    "FLO-04",
    "With every backend dead a client gets an honest error, and service returns without a restart.",
    subject=pools(checked),
    catches={"recovery-never-seen": "all_answered", "own-error-is-200": "refuses_all"},
    spec_link=ALB_FAILS,
    timed=True,
    cost_s=3,
)
def test_all_dead_then_recovery(stage: Stage, pool: StagedPool) -> None:
    for backend in pool.backends:
        backend.kill()
    wait_out(stage, pool)
    dead = stage.send(pool, n=OVERLAP)
    for backend in pool.backends:
        backend.restart()
    for backend in pool.backends:
        wait_in(stage, pool, backend)
    alive = stage.send(pool, rounds=3)

    for backend in pool.backends:
        expect(meets_fault(stage.sync(), dead, "kill", backend.name))
    expect(refuses_all(dead, allowed(pool.spec.statuses.none_usable)))
    expect(all_answered(stage.sync(), alive))
