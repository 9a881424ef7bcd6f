"""HLT: passive health, which learns from requests alone."""

from __future__ import annotations

from lbcheck.backends.script import Answer
from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.balance import starves_nobody
from lbcheck.judges.passive import ejects_after, keeps_its_turn, keeps_serving
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, PassiveHealth, Pool
from lbcheck.verdict import expect

ENVOY_OUTLIER = "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier"
ROUNDS = 4


def passive(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    turns = pool.algorithm is Algorithm.ROUND_ROBIN and pool.stickiness is None and pool.retries.attempts == 0
    alone = pool.health_check is None and pool.passive_health is not None
    return plain and turns and alone and len(pool.backends) > 2


def declared(pool: StagedPool) -> PassiveHealth:
    assert pool.spec.passive_health is not None
    return pool.spec.passive_health


def failure(health: PassiveHealth) -> Answer:
    """An answer that counts as a failure."""
    if "reset" in health.on:
        return Answer(fault="reset")
    return Answer(status=next((int(on) for on in health.on if on.isdigit()), 500))


@check(
    "HLT-12",
    "Passive health ejects a backend at the declared number of failures, for the declared time, and tries it again.",
    level=Level.EXTENDED,
    subject=pools(passive, reads=lambda p: p.passive_health),
    catches={
        "passive-never-ejects": "ejects_after",
        "passive-ejects-at-once": "ejects_after",
        "ejection-cut-short": "ejects_after",
    },
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=6,
)
def test_failures_eject(stage: Stage, pool: StagedPool) -> None:
    health, sick = declared(pool), pool.backends[0]
    width = len(pool.backends)
    sick.answer(failure(health))
    began = stage.now
    exchanges = stage.send(pool, n=width * (health.failures + ROUNDS), method="POST", body=b"x")
    # To just before the end of the ejection, which cannot have begun before the first failure.
    left = began + health.ejection - stage.now - 0.1 * health.ejection - stage.slack
    if left > 0:
        stage.wait(left)
        exchanges += stage.send(pool, n=width, method="POST", body=b"x")
    sick.answer(Answer())
    stage.wait(2 * health.ejection + stage.slack)
    again = stage.send(pool, n=ROUNDS * width)

    expect(ejects_after(stage.sync(), exchanges, sick.name, health.failures, rounds=2 * width))
    expect(starves_nobody(again, [b.name for b in pool.backends]))


@check(
    "HLT-13",
    "What `on` does not name is no failure: a backend that answers 404 keeps its turn.",
    level=Level.EXTENDED,
    subject=pools(lambda p: passive(p) and not {"404", "4xx"} & set(p.passive_health.on)),
    catches={"passive-counts-everything": "keeps_its_turn"},
    spec_link=ENVOY_OUTLIER,
)
def test_other_answers_are_no_failures(stage: Stage, pool: StagedPool) -> None:
    sick, width = pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    sick.answer(Answer(status=404))
    exchanges = stage.send(pool, n=width * (declared(pool).failures + ROUNDS))
    expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))


def most_ejected(pool: Pool) -> int:
    """How many backends may be out at once: the declared share of all, rounded down."""
    assert pool.passive_health is not None
    return int(pool.passive_health.max_ejected * len(pool.backends) + 1e-9)


@check(
    "HLT-17",
    "No more than the declared share of a pool is ejected, however many of its backends fail.",
    level=Level.EXTENDED,
    subject=pools(lambda p: passive(p) and 0 < most_ejected(p) < len(p.backends) - 1, reads=lambda p: p.passive_health),
    catches={"ejection-share-ignored": "keeps_serving"},
    spec_link=ENVOY_OUTLIER,
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=2,
)
def test_ejects_no_more_than_its_share(stage: Stage, pool: StagedPool) -> None:
    """One backend more fails than may be out: one of them must still be reached, within the time of an ejection."""
    health, most = declared(pool), most_ejected(pool.spec)
    width = len(pool.backends) * stage.spec.claims.workers
    sick = [backend.name for backend in pool.backends[: most + 1]]
    for name in sick:
        pool[name].answer(failure(health))
    began = stage.now
    exchanges = stage.send(pool, n=width * (health.failures + ROUNDS), method="POST", body=b"x")
    expect(keeps_serving(stage.sync(), exchanges, sick, most, rounds=2 * width, until=began + health.ejection))


@check(
    "HLT-18",
    "A backend that is back from an ejection begins anew: failures from before it do not count again.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: passive(p) and p.passive_health.failures > 1,
        reads=lambda p: (p.passive_health.count, p.passive_health.within > p.passive_health.ejection),
    ),
    catches={"ejection-keeps-window": "keeps_its_turn"},
    spec_link="https://github.com/envoyproxy/envoy/issues/40697",
    timed=lambda p: {"ejection": p.passive_health.ejection},
    cost_s=3,
)
def test_ejection_ends_the_count(stage: Stage, pool: StagedPool) -> None:
    """Failures eject a backend; back and well again, it then fails once less than it takes, and must keep its turn."""
    health, sick, width = declared(pool), pool.backends[0], len(pool.backends) * stage.spec.claims.workers
    sick.answer(failure(health))
    stage.send(pool, n=width * (health.failures + 1), method="POST", body=b"x")
    sick.answer(Answer())
    stage.wait(2 * health.ejection + stage.slack)  # some products count whole seconds
    # Well again, also for a product that tries a backend with one request before it trusts it.
    stage.send(pool, n=2 * width)
    sick.answer(failure(health))
    exchanges: list[Exchange] = []
    for _ in range(width * health.failures):
        if sum(sick.name in stage.sync().journey(e).backends for e in exchanges) < health.failures - 1:
            exchanges.append(stage.one(pool, method="POST", body=b"x"))
    sick.answer(Answer())
    exchanges += stage.send(pool, n=ROUNDS * width)
    expect(keeps_its_turn(stage.sync(), exchanges, sick.name, width))
