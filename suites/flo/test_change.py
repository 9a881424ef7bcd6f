"""FLO: the pool changes while it works: drain, register, deregister, rolling replacement."""

from __future__ import annotations

from collections.abc import Callable

from lbcheck.backends.script import Answer
from lbcheck.checks import changes_losslessly, check, plain_rotation, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import gets_nothing, starves_nobody, takes_turns
from lbcheck.judges.delivery import cut_at
from lbcheck.lab.plays import hold_one_at, settle_in, stream_one_at
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Pool
from lbcheck.verdict import expect

ALB_DRAIN = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#deregistration-delay"
RATE = 100.0
BUSY_S = 0.05  # at RATE some five requests are always under way


def patient(pool: Pool) -> bool:
    """May a request be held for longer than the delay, and the response timeout not end it?"""
    return plain_rotation(pool) and 0 < 2 * pool.deregistration_delay < pool.timeouts.response


def hasty(pool: Pool) -> bool:
    """May an answer that keeps coming outlast the response timeout by far, and still not the delay?"""
    return plain_rotation(pool) and 0 < 3 * pool.timeouts.response < pool.deregistration_delay


def leaves_time(pool: Pool) -> bool:
    return patient(pool) or hasty(pool)


def times_of(pool: Pool) -> dict[str, float]:
    return {"deregistration delay": pool.deregistration_delay, "response timeout": pool.timeouts.response}


def has_check(pool: Pool) -> bool:
    return pool.health_check is not None


@check(
    "FLO-21",
    "A draining backend gets nothing new, and finishes what it has within the delay.",
    subject=pools(leaves_time, within=changes_losslessly, reads=hasty),
    catches={
        "drain-ignored": "gets_nothing",
        "drain-cuts-in-flight": "all_answered",
        "drain-takes-response-time": "all_answered",
    },
    needs={Feature.DRAIN},
    spec_link=ALB_DRAIN,
    timed=times_of,
    cost_s=2,
)
def test_draining_backend_finishes_and_takes_nothing(stage: Stage, pool: StagedPool) -> None:
    leaving = pool.backends[0]
    leaves_gracefully(stage, pool, leaving, leaving.drain)


@check(
    "FLO-22",
    "A deregistered backend gets nothing new, and finishes what it has within the delay.",
    subject=pools(leaves_time, within=changes_losslessly, reads=hasty),
    catches={
        "deregistered-still-served": "gets_nothing",
        "deregister-cuts-in-flight": "all_answered",
        "drain-takes-response-time": "all_answered",
    },
    needs={Feature.REGISTER},
    spec_link=ALB_DRAIN,
    timed=times_of,
    cost_s=2,
)
def test_deregistered_backend_finishes_and_takes_nothing(stage: Stage, pool: StagedPool) -> None:
    leaving = pool.backends[0]
    leaves_gracefully(stage, pool, leaving, leaving.deregister)


@check(
    "FLO-23",
    "A backend that is registered at run time, at a port of its own, gets its share.",
    subject=pools(plain_rotation, within=changes_losslessly, reads=has_check),
    catches={"registered-never-served": "takes_turns"},
    needs={Feature.REGISTER},
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-register-targets.html",
)
def test_registered_backend_gets_its_share(stage: Stage, pool: StagedPool) -> None:
    new = pool.register("new")
    settle_in(stage, pool, new)

    exchanges = stage.send(pool, n=6 * len(pool.backends))

    expect(takes_turns(exchanges, among=[b.name for b in pool.backends], workers=stage.spec.claims.workers))


@check(
    "FLO-24",
    "Every backend is replaced, one after another, under load: no request fails.",
    subject=pools(plain_rotation, within=changes_losslessly, reads=has_check),
    catches={"drain-cuts-in-flight": "all_answered", "registered-never-served": "all_answered"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html",
    cost_s=7,
)
def test_rolling_replacement_loses_nothing(stage: Stage, pool: StagedPool) -> None:
    busy = Answer(delay=BUSY_S)
    old = pool.backends
    for backend in old:
        backend.answer(busy)
    with stage.traffic(pool, rate=RATE) as traffic:
        for backend in old:
            new = pool.register(f"{backend.name}-next", weight=backend.spec.weight)
            new.answer(busy)
            settle_in(stage, pool, new)
            backend.drain()
            stage.wait(4 * BUSY_S + stage.slack)
            backend.deregister()
            stage.wait(2 * BUSY_S)
            backend.kill()
        stage.wait(4 * BUSY_S)
    afterwards = stage.send(pool, n=6 * len(old))

    expect(all_answered(stage.sync(), traffic.exchanges))
    expect(starves_nobody(afterwards, [b.name for b in pool.backends[len(old) :]]))


@check(
    "FLO-30",
    "A backend that is back at work before its delay is over finishes all that it has, however long that takes.",
    subject=pools(patient, within=changes_losslessly),
    catches={"return-does-not-stop-the-clock": "all_answered"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link=ALB_DRAIN,
    cost_s=4,
)
def test_returned_backend_keeps_what_it_has(stage: Stage, pool: StagedPool) -> None:
    back = pool.backends[0]
    pending = hold_one_at(stage, pool, back)
    back.drain()
    stage.wait(pool.spec.deregistration_delay / 4)
    back.register()
    stage.wait(pool.spec.deregistration_delay * 1.5)
    back.release()
    done = pending.wait(2.0)

    expect(all_answered(stage.sync(), [done], by=[back.name]))


@check(
    "FLO-47",
    "What a draining backend is still at when its delay is over is ended then, and its client can tell.",
    level=Level.EXTENDED,
    subject=pools(patient, within=changes_losslessly),
    catches={"drain-takes-response-time": "cut_at"},
    needs={Feature.DRAIN, Feature.DRAIN_ENDS},
    spec_link=ALB_DRAIN,
    timed=times_of,
    cost_s=3,
)
def test_what_outlasts_the_delay_is_ended(stage: Stage, pool: StagedPool) -> None:
    """An answer that keeps coming for two and a half delays; half-way to its end it has to be over."""
    ended_after_leaving(stage, pool, StagedBackend.drain)


def ended_after_leaving(stage: Stage, pool: StagedPool, leave: Callable[[StagedBackend], None]) -> None:
    leaving, delay_s = pool.backends[0], pool.spec.deregistration_delay
    pending = stream_one_at(stage, pool, leaving, 2.5 * delay_s)
    told = stage.now
    leave(leaving)
    bounds = {"earliest": told + delay_s - stage.slack - 0.01, "latest": stage.now + 1.3 * delay_s + stage.slack}
    done = pending.wait(2.5 * delay_s + 2.0)

    expect(cut_at(done, f"a delay of {delay_s:g} s", **bounds))


@check(
    "FLO-54",
    "What a deregistered backend is still at when its delay is over is ended then, and its client can tell.",
    level=Level.EXTENDED,
    subject=pools(patient, within=changes_losslessly),
    catches={"deregistered-never-ended": "cut_at"},
    needs={Feature.REGISTER, Feature.DRAIN_ENDS},
    spec_link=ALB_DRAIN,
    timed=times_of,
    cost_s=3,
)
def test_what_outlasts_the_delay_of_who_has_gone_is_ended(stage: Stage, pool: StagedPool) -> None:
    """As FLO-47, of a backend that is no member any more."""
    ended_after_leaving(stage, pool, StagedBackend.deregister)


def leaves_gracefully(stage: Stage, pool: StagedPool, leaving: StagedBackend, leave: Callable[[], None]) -> None:
    """Tells a backend to leave that is at a request, and judges that it takes nothing new and finishes that one.

    It holds the request for half the delay; where that is longer than it may be silent, its answer keeps coming for two
    response timeouts.
    """
    if hasty(pool.spec):
        lasts_s = 2 * pool.spec.timeouts.response
        pending = stream_one_at(stage, pool, leaving, lasts_s)
        leave()
        during = stage.send(pool, rounds=4)
    else:
        lasts_s = pool.spec.deregistration_delay / 2
        pending = hold_one_at(stage, pool, leaving)
        leave()
        during = stage.send(pool, rounds=4)
        stage.wait(lasts_s)
        leaving.release()
    done = pending.wait(lasts_s + 2.0)

    expect(gets_nothing(during, [leaving.name]))
    expect(all_answered(stage.sync(), [done], by=[leaving.name]))
