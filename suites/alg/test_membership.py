"""ALG: shares while backends go and return."""

from __future__ import annotations

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import keeps_weights, takes_turns
from lbcheck.lab.plays import wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect


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
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-backup",
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
    again = stage.send(pool, n=4 * sum(b.weight for b in pool.spec.backends))

    workers = stage.spec.claims.workers
    if pool.spec.algorithm is Algorithm.ROUND_ROBIN:
        expect(takes_turns(without, among=[b.name for b in others], workers=workers))
        expect(takes_turns(again, among=[b.name for b in pool.backends], workers=workers))
    else:
        expect(keeps_weights(again, {b.name: b.spec.weight for b in pool.backends}, workers=workers))
