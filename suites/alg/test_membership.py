"""ALG: shares while backends go and return."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import changes_losslessly, check, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import keeps_weights, takes_turns
from lbcheck.lab.plays import run_out, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Spec
from lbcheck.verdict import expect

BACKUP = "https://docs.haproxy.org/2.6/configuration.html#5.2-backup"


def rotation_with_checks(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    turns = pool.algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN)
    return turns and plain and len(pool.backends) > 2 and pool.health_check is not None and pool.stickiness is None


def backed_up(pool: Pool) -> bool:
    backups = [b for b in pool.backends if b.backup]
    return bool(backups) and len(backups) < len(pool.backends) and pool.health_check is not None


@check(
    "ALG-16",
    "Backups get traffic only when every primary is gone.",
    level=Level.EXTENDED,
    subject=pools(backed_up),
    catches={"backup-always-used": "all_answered", "backup-never-used": "all_answered"},
    spec_link=BACKUP,
    timed=True,
    cost_s=3,
)
def test_backups_stand_in(stage: Stage, pool: StagedPool) -> None:
    primaries = [b for b in pool.backends if not b.spec.backup]
    backups = [b.name for b in pool.backends if b.spec.backup]
    before = stage.send(pool, rounds=4)
    for primary in primaries:
        primary.kill()
    wait_out(stage, pool)

    during = stage.send(pool, rounds=4)

    expect(all_answered(stage.history, before, by=[b.name for b in primaries]))
    expect(all_answered(stage.history, during, by=backups))


def changes_with_backups(spec: Spec, pool: Pool) -> bool:
    backups = [b for b in pool.backends if b.backup]
    return changes_losslessly(spec, pool) and bool(backups) and len(backups) < len(pool.backends)


@check(
    "ALG-31",
    "Backups stand in when every primary is draining.",
    level=Level.EXTENDED,
    subject=pools(lambda p: p.stickiness is None, within=changes_with_backups),
    catches={"backups-look-at-health-alone": "all_answered", "backup-never-used": "all_answered"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link=BACKUP,
)
def test_backups_stand_in_for_draining_primaries(stage: Stage, pool: StagedPool) -> None:
    """One primary after another is drained, and one returns: it takes over from the backups again."""
    primaries = [b for b in pool.backends if not b.spec.backup]
    backups = [b.name for b in pool.backends if b.spec.backup]
    for primary in primaries[:-1]:
        primary.drain()
    one_left = stage.send(pool, rounds=3)
    primaries[-1].drain()
    none_left = stage.send(pool, rounds=3)
    primaries[0].register()
    one_back = stage.send(pool, rounds=3)

    expect(all_answered(stage.sync(), one_left, by=[primaries[-1].name]))
    expect(all_answered(stage.history, none_left, by=backups))
    expect(all_answered(stage.history, one_back, by=[primaries[0].name]))


def ejects_primaries(pool: Pool) -> bool:
    backups, health = [b for b in pool.backends if b.backup], pool.passive_health
    alone = health is not None and pool.health_check is None and health.max_ejected == 1 and "reset" in health.on
    turns = pool.algorithm is Algorithm.ROUND_ROBIN and pool.stickiness is None and pool.retries.attempts == 0
    return alone and turns and 0 < len(backups) < len(pool.backends)


@check(
    "ALG-32",
    "Backups stand in when every primary is ejected.",
    level=Level.EXTENDED,
    subject=pools(ejects_primaries),
    catches={"backups-look-at-health-alone": "all_answered", "backup-never-used": "all_answered"},
    spec_link=BACKUP,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=1,
)
def test_backups_stand_in_for_ejected_primaries(stage: Stage, pool: StagedPool) -> None:
    assert pool.spec.passive_health is not None
    primaries = [b for b in pool.backends if not b.spec.backup]
    for primary in primaries:
        primary.answer(Answer(fault="reset"))
    # A POST, so that no failure is hidden.
    stage.send(pool, n=len(primaries) * pool.spec.passive_health.failures, method="POST", body=b"x")
    during = stage.send(pool, rounds=2, method="POST", body=b"x")

    expect(all_answered(stage.sync(), during, by=[b.name for b in pool.backends if b.spec.backup]))


@check(
    "ALG-17",
    "A backend that failed and recovered has its full share again, and the others keep theirs.",
    subject=pools(rotation_with_checks, reads=lambda p: p.algorithm),
    catches={
        "ejected-never-returns": "takes_turns",
        "returned-catches-up": "takes_turns",
        "share-to-neighbour": "takes_turns",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-rise",
    timed=True,
    cost_s=3,
)
def test_shares_are_right_again(stage: Stage, pool: StagedPool) -> None:
    victim, *others = pool.backends
    victim.kill()
    wait_out(stage, pool)
    without = stage.send(pool, n=6 * len(others))
    victim.restart()
    wait_in(stage, pool, victim)
    run_out(stage, pool)
    again = stage.send(pool, n=4 * sum(b.weight for b in pool.spec.backends))

    workers = stage.spec.claims.workers
    if pool.spec.algorithm is Algorithm.ROUND_ROBIN:
        expect(takes_turns(without, among=[b.name for b in others], workers=workers))
        expect(takes_turns(again, among=[b.name for b in pool.backends], workers=workers))
    else:
        expect(keeps_weights(again, {b.name: b.spec.weight for b in pool.backends}, workers=workers))
