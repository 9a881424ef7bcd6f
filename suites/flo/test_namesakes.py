"""FLO, HLT: what is told of a backend, or of a pool that a reload drops, is of that one alone."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.checks import check, whole_spec
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import gets_nothing, takes_turns
from lbcheck.judges.delivery import cut_at
from lbcheck.judges.overlap import OVERLAP
from lbcheck.lab.plays import check_of, hold_one_at, stream_one_at, wait_out
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Algorithm, Forward, Pool, Spec
from lbcheck.verdict import expect

SHARED = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html"
ALB_DRAIN = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#deregistration-delay"


def rotates(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    return plain and pool.algorithm is Algorithm.ROUND_ROBIN and pool.stickiness is None and len(pool.backends) > 1


def named_alike(spec: Spec) -> bool:
    """Are there two pools that take turns, whose first backends are known by one name to the target?"""
    if len(spec.pools) != 2 or not all(map(rotates, spec.pools)) or any(p.slow_start for p in spec.pools):
        return False
    return spec.pools[0].backends[0].name == spec.pools[1].backends[0].name


def losslessly(spec: Spec) -> bool:
    waits = all(0 < 2 * p.deregistration_delay < p.timeouts.response for p in spec.pools)
    return named_alike(spec) and spec.claims.reload == "lossless" and waits


def checked(spec: Spec) -> bool:
    return named_alike(spec) and all(p.health_check is not None for p in spec.pools)


def namesakes(stage: Stage) -> tuple[StagedPool, StagedPool]:
    one, two = (stage.pool(pool.name) for pool in stage.spec.pools)
    return one, two


def turns(stage: Stage, pool: StagedPool, among: list[StagedBackend]) -> None:
    exchanges = stage.send(pool, n=6 * len(pool.backends))
    workers = stage.spec.claims.workers
    expect(takes_turns(exchanges, among=[b.name for b in among], workers=workers))
    expect(gets_nothing(exchanges, [b.name for b in pool.backends if b not in among]))


@check(
    "HLT-35",
    "Pools whose backends have the same names each go by their own probes.",
    subject=whole_spec(checked),
    catches={"probes-by-name": "takes_turns"},
    spec_link=SHARED,
    timed=lambda spec: {"interval": min(check_of(p).interval for p in spec.pools)},
    cost_s=4,
)
def test_namesakes_have_a_health_each(stage: Stage, spec: Spec) -> None:
    """First the one pool's backend fails its probes, then its namesake alone."""
    del spec
    pools = namesakes(stage)
    for sick, other in (pools, pools[::-1]):
        sick.backends[0].fail_probes()
        wait_out(stage, sick)
        turns(stage, sick, list(sick.backends[1:]))
        turns(stage, other, list(other.backends))
        sick.backends[0].pass_probes()
        _, returning = check_of(sick).detection(check_of(sick).healthy_threshold)
        stage.wait(returning + stage.slack)
        wait_out(stage, sick)


@check(
    "FLO-51",
    "A backend that leaves, or is given another weight, leaves its namesake in another pool as it was.",
    subject=whole_spec(losslessly),
    catches={"drains-by-name": "takes_turns"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link=SHARED,
    cost_s=2,
)
def test_namesakes_leave_by_themselves(stage: Stage, spec: Spec) -> None:
    del spec
    one, two = namesakes(stage)
    for leaving, other in ((one, two), (two, one)):
        leaving.backends[0].drain()
        turns(stage, leaving, list(leaving.backends[1:]))
        turns(stage, other, list(other.backends))
        leaving.backends[0].register()
        turns(stage, leaving, list(leaving.backends))


@check(
    "FLO-52",
    "What a backend is still at that a reload drops is ended when its delay is over, also where a namesake stays.",
    level=Level.EXTENDED,
    subject=whole_spec(losslessly),
    catches={"namesake-saves-from-the-cut": "cut_at"},
    needs={Feature.RELOAD, Feature.DRAIN_ENDS},
    spec_link=ALB_DRAIN,
    timed=lambda spec: {"deregistration delay": spec.pools[0].deregistration_delay},
    cost_s=3,
)
def test_a_dropped_backend_is_ended_though_its_namesake_stays(stage: Stage, spec: Spec) -> None:
    del spec
    one, two = namesakes(stage)
    leaving, delay_s = one.backends[0], one.spec.deregistration_delay
    stays = stream_one_at(stage, two, two.backends[0], 2.0 * delay_s)
    ends = stream_one_at(stage, one, leaving, 2.5 * delay_s)
    told = stage.now
    stage.reload(with_pool(stage.spec, replace(one.spec, backends=one.spec.backends[1:])))
    bounds = {"earliest": told + delay_s - stage.slack - 0.01, "latest": stage.now + 1.3 * delay_s + stage.slack}

    expect(cut_at(ends.wait(2.5 * delay_s + 2.0), f"a delay of {delay_s:g} s", **bounds))
    expect(all_answered(stage.sync(), [stays.wait(2.5 * delay_s + 2.0)], by=[two.backends[0].name]))


@check(
    "FLO-53",
    "Requests under way in a pool that a reload drops are finished within its delay.",
    subject=whole_spec(losslessly),
    catches={"dropped-pool-cut-at-once": "all_answered"},
    needs={Feature.RELOAD},
    spec_link=ALB_DRAIN,
    cost_s=3,
)
def test_a_dropped_pool_finishes_what_it_has(stage: Stage, spec: Spec) -> None:
    """Everything goes to the other pool from then on; the dropped one holds its request for half of the delay."""
    one, two = namesakes(stage)
    holder = one.backends[0]
    pending = hold_one_at(stage, one, holder)
    listeners = tuple(replace(x, default=Forward(((two.name, 1),)), rules=()) for x in stage.spec.listeners)
    stage.reload(
        replace(stage.spec, listeners=listeners, pools=tuple(p for p in stage.spec.pools if p.name == two.name))
    )
    after = stage.send(spec.listeners[0], n=max(OVERLAP, 2 * len(two.backends)))
    stage.wait(one.spec.deregistration_delay / 2)
    holder.release()

    expect(all_answered(stage.sync(), after, by=[b.name for b in two.backends]))
    expect(all_answered(stage.history, [pending.wait(2.0)], by=[holder.name]))
