"""FLO: what a reload changes of a pool: its members, its algorithm, its limit; and what becomes of who waits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lbcheck.checks import changes_losslessly, check, detection, plain_rotation, pools
from lbcheck.features import Feature, Level
from lbcheck.history import History
from lbcheck.judges.answers import all_answered, reach_nobody
from lbcheck.judges.balance import gets_nothing, takes_turns
from lbcheck.judges.counting import keeps_limit
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.lab.plays import hold_one_at, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

SETTLING_S = 0.05  # until a request has come to a balancer, on any machine
RELOAD = "https://docs.haproxy.org/2.6/management.html#4"


def turns(pool: Pool) -> bool:
    return plain_rotation(pool) and len(pool.backends) > 2 and pool.health_check is None and not pool.max_connections


def limited(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    alone = pool.stickiness is None and pool.health_check is None
    return plain and alone and 1 < pool.max_connections <= 16


def all_arrived(ids: list[str], history: History) -> bool:
    return all(history.arrivals_of(identity) for identity in ids)


@check(
    "FLO-31",
    "What a reload says of the members is in force: who drains, who is gone, who is back.",
    subject=pools(turns, within=changes_losslessly),
    catches={"reload-ignores-states": "gets_nothing", "reload-keeps-who-has-gone": "gets_nothing"},
    needs={Feature.RELOAD},
    spec_link=RELOAD,
    cost_s=2,
)
def test_reload_changes_members(stage: Stage, pool: StagedPool) -> None:
    before = pool.spec
    first, second, *others = before.backends
    draining = replace(before, backends=(replace(first, state="draining"), second, *others))
    stage.reload(with_pool(stage.spec, draining))
    without_first = stage.send(pool, rounds=3)
    stage.reload(with_pool(stage.spec, replace(before, backends=(first, *others))))
    without_second = stage.send(pool, rounds=3)
    stage.reload(with_pool(stage.spec, before))

    expect(gets_nothing(without_first, [first.name]))
    expect(gets_nothing(without_second, [second.name]))
    again = stage.send(pool, rounds=4)
    expect(takes_turns(again, among=[b.name for b in before.backends], workers=stage.spec.claims.workers))


@check(
    "FLO-32",
    "An algorithm that a reload changes is the one that is used from then on.",
    level=Level.EXTENDED,
    subject=pools(turns, within=changes_losslessly),
    catches={"reload-keeps-old-algorithm": "same_key_same_backend"},
    needs={Feature.RELOAD, Feature.SOURCE_IP_HASH},
    spec_link=RELOAD,
)
def test_reload_changes_the_algorithm(stage: Stage, pool: StagedPool) -> None:
    stage.send(pool, rounds=1)
    stage.reload(with_pool(stage.spec, replace(pool.spec, algorithm=Algorithm.SOURCE_IP_HASH)))
    expect(same_key_same_backend([("one address", e) for e in stage.send(pool, rounds=4)]))


@check(
    "FLO-33",
    "A limit that a reload changes holds from then on.",
    level=Level.EXTENDED,
    subject=pools(limited, within=changes_losslessly),
    catches={"reload-keeps-old-limit": "keeps_limit"},
    needs={Feature.RELOAD, Feature.MAX_CONNECTIONS},
    spec_link=RELOAD,
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=2,
)
def test_reload_changes_the_limit(stage: Stage, pool: StagedPool) -> None:
    fewer = pool.spec.max_connections - 1
    stage.reload(with_pool(stage.spec, replace(pool.spec, max_connections=fewer)))
    for backend in pool.backends:
        backend.hold()
    together = [stage.start(pool, within=60.0) for _ in range(fewer * len(pool.backends) + 1)]
    stage.wait_for(partial(all_arrived, [p.id for p in together]), within=pool.spec.timeouts.queue / 4)
    expect(keeps_limit(stage.sync(), [p.id for p in together], fewer))
    for backend in pool.backends:
        backend.release()

    expect(all_answered(stage.history, [p.wait(within=5.0) for p in together]))


def limited_and_checked(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    check, limit = pool.health_check, 0 < pool.max_connections <= 16
    if not plain or not limit or check is None or pool.stickiness is not None or len(pool.backends) < 2:
        return False
    return check.detection(check.healthy_threshold)[1] < pool.timeouts.queue / 2


@check(
    "FLO-34",
    "Who waits because all are full is served by a backend that is well again meanwhile.",
    level=Level.EXTENDED,
    subject=pools(limited_and_checked),
    catches={"returned-leaves-the-queue": "all_answered"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue, **detection(p)},
    cost_s=4,
)
def test_a_returned_backend_serves_who_waits(stage: Stage, pool: StagedPool) -> None:
    """As many wait as it has room for, and nobody of them ends before all have come to it."""
    back, *others = pool.backends
    back.fail_probes()
    wait_out(stage, pool)
    for backend in pool.backends:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections * len(others))]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=5.0)
    waiting = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections)]
    back.pass_probes()
    stage.wait_for(partial(all_arrived, [p.id for p in waiting]), within=pool.spec.timeouts.queue + 1.0)
    back.release()
    done = [p.wait(within=5.0) for p in waiting]
    for backend in others:
        backend.release()

    expect(all_answered(stage.sync(), done, by=[back.name]))
    expect(all_answered(stage.history, [p.wait(within=5.0) for p in inside]))


@check(
    "FLO-46",
    "Those who wait because all are full are served by a backend that joins meanwhile, as many as it has room for.",
    level=Level.EXTENDED,
    subject=pools(lambda p: limited(p) and len(p.backends) > 1, within=changes_losslessly),
    catches={"joined-leaves-the-queue": "all_answered", "one-place-for-who-waits": "all_answered"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-maxconn",
    timed=lambda p: {"queue timeout": p.timeouts.queue},
    cost_s=2,
)
def test_a_joining_backend_serves_who_waits(stage: Stage, pool: StagedPool) -> None:
    """Nobody ends before all who have waited have come to the new one."""
    joining, *others = pool.backends
    joining.drain()
    for backend in pool.backends:
        backend.hold()
    inside = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections * len(others))]
    stage.wait_for(partial(all_arrived, [p.id for p in inside]), within=pool.spec.timeouts.queue)
    waiting = [stage.start(pool, within=60.0) for _ in range(pool.spec.max_connections)]
    stage.wait(SETTLING_S + stage.slack)
    joining.register()
    stage.wait_for(partial(all_arrived, [p.id for p in waiting]), within=pool.spec.timeouts.queue + 1.0)
    for backend in pool.backends:
        backend.release()

    expect(all_answered(stage.sync(), [p.wait(within=5.0) for p in waiting], by=[joining.name]))
    expect(all_answered(stage.history, [p.wait(within=5.0) for p in inside]))


@check(
    "FLO-35",
    "A balancer that is told to stop takes no new connections.",
    level=Level.EXTENDED,
    subject=pools(turns, within=changes_losslessly),
    catches={"stop-goes-on-accepting": "reach_nobody"},
    spec_link="https://nginx.org/en/docs/control.html",
)
def test_a_stopping_balancer_takes_nothing_new(stage: Stage, pool: StagedPool) -> None:
    busy = pool.backends[0]
    pending = hold_one_at(stage, pool, busy)
    stage.target.retire()
    stage.wait(0.3)
    late = stage.send(pool, n=3, within=1.0)
    busy.release()
    done = pending.wait(2.0)

    expect(reach_nobody(stage.sync(), late))
    expect(all_answered(stage.history, [done], by=[busy.name]))
