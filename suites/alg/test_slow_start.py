"""ALG: slow start, judged by what the claim says alone: less at first, all of it at the end, never nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lbcheck.checks import Figure, changes_losslessly, check, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.balance import keeps_weights
from lbcheck.judges.draws import enough, shares_fit
from lbcheck.judges.figures import of_less, of_others, of_shares
from lbcheck.judges.health import results_of
from lbcheck.judges.ramping import others_keep_shares, ramps, requests_of_others, requests_to_see, share_at
from lbcheck.judges.sequential import SharesTest
from lbcheck.lab.plays import check_of, send_until, wait_out, wait_up
from lbcheck.lab.stage import Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

LONGEST_S = 30.0
MARGIN = (
    1.5  # requests for each that the judgement needs: a product that is late with a weight gets its share of others
)
EFFECT = 0.15
SHARED = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN, Algorithm.RANDOM)
ALB_SLOW_START = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html"
    "#slow-start-mode"
)


def ramping(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    shared = pool.algorithm in SHARED and pool.stickiness is None
    checked = pool.health_check is not None and len(pool.backends) > 1
    return plain and shared and checked and 0 < pool.slow_start <= LONGEST_S


def weights_of(pool: Pool) -> dict[str, int]:
    equal = pool.algorithm is Algorithm.ROUND_ROBIN
    return {b.name: 1 if equal else b.weight for b in pool.backends}


def shares_of(weights: Mapping[str, int]) -> dict[str, float]:
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def in_the_first_third(full: float) -> Figure:
    n = math.ceil(MARGIN * requests_to_see(full))
    return of_less("ramps", n, full, share_at(full, 1 / 6), "a full share at once")


def chances(pool: Pool) -> tuple[Figure, ...]:
    """Of a pool whose first backend returns."""
    weights = weights_of(pool)
    first = next(iter(weights))
    others = (of_others("others_keep_shares", weights, first),) if requests_of_others(weights, first) else ()
    drawn = (of_shares(shares_of(weights), EFFECT),) if pool.algorithm is Algorithm.RANDOM else ()
    return (in_the_first_third(shares_of(weights)[first]), *others, *drawn)


def rate_of(pool: Pool, weights: Mapping[str, int], backend: str) -> float:
    """Requests a second at which the first third of a ramp, and the others in the first half, can be judged."""
    full = shares_of(weights)[backend]
    others = requests_of_others(weights, backend) / (1 - full) / (pool.slow_start / 2)
    return MARGIN * max(requests_to_see(full) / (pool.slow_start / 3), others)


def out_and_back(stage: Stage, pool: StagedPool, back: StagedBackend, lasting: float) -> float:
    """A backend leaves, and returns under traffic that goes on so long; the moment of its last good probe needed."""
    check = check_of(pool)
    back.fail_probes()
    wait_out(stage, pool)
    since = stage.now
    back.pass_probes()
    with stage.traffic(pool, rate=rate_of(pool.spec, weights_of(pool.spec), back.name)):
        wait_up(stage, pool, back)
        stage.wait(lasting + stage.slack)
    good = [p for p in results_of(stage.sync(), back.name, check, since=since) if p.passed]
    return good[check.healthy_threshold - 1].ended if len(good) >= check.healthy_threshold else stage.now


def expect_ramp(stage: Stage, pool: StagedPool, name: str, began: float) -> None:
    weights = weights_of(pool.spec)
    expect(ramps(stage.history, pool.spec, name, began, shares_of(weights)[name]))
    if requests_of_others(weights, name):
        expect(others_keep_shares(stage.history, weights, name, began))


def expect_full_shares(stage: Stage, pool: StagedPool) -> None:
    """Nobody ramps any more."""
    weights = weights_of(pool.spec)
    if pool.spec.algorithm is not Algorithm.RANDOM:
        exchanges = stage.send(pool, n=4 * sum(weights.values()))
        expect(keeps_weights(exchanges, weights, workers=stage.spec.claims.workers))
        return
    test = SharesTest(shares_of(weights), EFFECT)
    exchanges = send_until(stage, pool, lambda seen: enough(seen, test), most=test.most)
    expect(shares_fit(exchanges, shares_of(weights), EFFECT))


@check(
    "ALG-19",
    "A backend that returns has less than its share at first, never nothing, and all of it once `slow_start` is over.",
    level=Level.EXTENDED,
    subject=pools(ramping, reads=lambda p: p.algorithm),
    catches={
        "slow-start-skipped": "ramps",
        "slow-start-once-only": "ramps",
        "slow-start-forgets-weights": "others_keep_shares",
        "slow-start-of-turns-alone": "ramps",
        "slow-start-never-ends": "keeps_weights",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-slowstart",
    timed=True,
    figures=chances,
    cost_s=9,
)
def test_slow_start_ramps(stage: Stage, pool: StagedPool) -> None:
    """A backend returns under traffic, fails in the midst of its ramp, and returns: each time it begins slowly.

    Its share of the first third is tested against the full one, what the others have against their weights, then all.
    """
    back = pool.backends[0]
    for lasting in (pool.spec.slow_start / 2, pool.spec.slow_start):
        began = out_and_back(stage, pool, back, lasting)
        expect_ramp(stage, pool, back.name, began)
    expect_full_shares(stage, pool)


def joined_by_one(pool: Pool) -> float:
    """The full share of one more backend of weight 1."""
    return 1 / (sum(weights_of(pool).values()) + 1)


@check(
    "ALG-34",
    "A backend that is registered has less than its share at first, and all of it once `slow_start` is over.",
    level=Level.EXTENDED,
    subject=pools(ramping, within=changes_losslessly),
    catches={"slow-start-after-failures-alone": "ramps"},
    needs={Feature.REGISTER, Feature.SLOW_START_OF_NEW},
    spec_link=ALB_SLOW_START,
    timed=True,
    figures=lambda p: (in_the_first_third(joined_by_one(p)),),
    cost_s=5,
)
def test_a_registered_backend_ramps(stage: Stage, pool: StagedPool) -> None:
    """The ramp begins when the new backend is found well: at its first request."""
    full = joined_by_one(pool.spec)
    with stage.traffic(pool, rate=MARGIN * requests_to_see(full) / (pool.spec.slow_start / 3)):
        told = stage.now
        new = pool.register("new")
        wait_up(stage, pool, new)
        stage.wait(pool.spec.slow_start + stage.slack)

    arrivals = [a.at for a in stage.sync().arrivals if a.backend == new.name and a.id is not None]
    expect(ramps(stage.history, pool.spec, new.name, min(arrivals, default=told), full))
    expect_full_shares(stage, pool)
