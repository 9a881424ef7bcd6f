"""ALG: slow start, judged by what the claim says alone: less at first, all of it at the end, never nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from lbcheck.backends.script import Answer
from lbcheck.checks import Figure, changes_losslessly, check, detection, pools
from lbcheck.features import Feature, Level
from lbcheck.judges.answers import all_answered
from lbcheck.judges.balance import keeps_weights
from lbcheck.judges.draws import enough, shares_fit
from lbcheck.judges.figures import of_least, of_less, of_others, of_shares
from lbcheck.judges.health import grace_of, results_of
from lbcheck.judges.ramping import (
    LEAST,
    begins_at_the_least,
    others_keep_shares,
    promised,
    ramps,
    requests_of_others,
    requests_to_see,
    requests_to_see_least,
    share_at,
)
from lbcheck.judges.sequential import SharesTest
from lbcheck.lab.plays import check_of, has_arrived, send_until, wait_out, wait_up
from lbcheck.lab.stage import Pending, Stage, StagedBackend, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect, inconclusive

LONGEST_S = 30.0
MARGIN = (
    1.5  # requests for each that the judgement needs: a product that is late with a weight gets its share of others
)
EFFECT = 0.07  # a product gives two equals 43 and 57 %: with 0.15 it would be luck whether that is seen
FASTEST = 500.0  # requests a second
NEARLY_ALL = 0.9  # of requests that find the others busy: what least connections gives to who has nothing to do
BUSY = 4  # requests in flight at each of the others
SHARED = (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN, Algorithm.RANDOM)
ALB_SLOW_START = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html"
    "#slow-start-mode"
)


def shared_slowly(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    shared = pool.algorithm in SHARED and pool.stickiness is None and len(pool.backends) > 1
    return plain and shared and 0 < pool.slow_start <= LONGEST_S


def ramping(pool: Pool) -> bool:
    return shared_slowly(pool) and pool.health_check is not None


def weights_of(pool: Pool) -> dict[str, int]:
    equal = pool.algorithm is Algorithm.ROUND_ROBIN
    return {b.name: 1 if equal else b.weight for b in pool.backends}


def shares_of(weights: Mapping[str, int]) -> dict[str, float]:
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def in_the_first_third(full: float) -> Figure:
    return of_less("ramps", promised(full), full, share_at(full, 1 / 6), "a full share at once")


def chances(pool: Pool) -> tuple[Figure, ...]:
    """Of a pool whose first backend returns."""
    weights = weights_of(pool)
    first = next(iter(weights))
    others = (of_others("others_keep_shares", weights, first),) if requests_of_others(weights, first) else ()
    drawn = (of_shares(shares_of(weights), EFFECT),) if pool.algorithm is Algorithm.RANDOM else ()
    return (in_the_first_third(shares_of(weights)[first]), *others, *drawn)


def rate_of(pool: Pool, weights: Mapping[str, int], backend: str) -> float:
    """Requests a second at which the first third of a ramp, and the others in all of it, can be judged."""
    full = shares_of(weights)[backend]
    others = requests_of_others(weights, backend) / (1 - full) / pool.slow_start
    return MARGIN * max(requests_to_see(full) / (pool.slow_start / 3), others)


def out_and_back(stage: Stage, pool: StagedPool, back: StagedBackend, lasting: float, *, rate: float) -> float:
    """A backend leaves, and returns under traffic that goes on so long; the moment of its last good probe needed."""
    back.fail_probes()
    wait_out(stage, pool)
    return returns(stage, pool, back, lasting, rate=rate)


def returns(stage: Stage, pool: StagedPool, back: StagedBackend, lasting: float, *, rate: float) -> float:
    check, since = check_of(pool), stage.now
    back.pass_probes()
    with stage.traffic(pool, rate=rate):
        wait_up(stage, pool, back)
        stage.wait(lasting + stage.slack)
    good = [p for p in results_of(stage.sync(), back.name, check, since=since) if p.passed]
    return good[check.healthy_threshold - 1].ended if len(good) >= check.healthy_threshold else stage.now


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
    back, weights = pool.backends[0], weights_of(pool.spec)
    for lasting in (pool.spec.slow_start / 2, pool.spec.slow_start):
        began = out_and_back(stage, pool, back, lasting, rate=rate_of(pool.spec, weights, back.name))
        expect(ramps(stage.history, pool.spec, back.name, began, shares_of(weights)[back.name]))
    if requests_of_others(weights, back.name):
        expect(others_keep_shares(stage.history, weights, back.name, began))
    expect_full_shares(stage, pool)


def joined_by_one(pool: Pool) -> float:
    """The full share of one more backend of weight 1."""
    return 1 / (sum(weights_of(pool).values()) + 1)


@check(
    "ALG-34",
    "A backend that is registered has less than its share at first, and all of it once `slow_start` is over.",
    level=Level.EXTENDED,
    subject=pools(shared_slowly, reads=lambda p: p.health_check is None, within=changes_losslessly),
    catches={"slow-start-after-failures-alone": "ramps", "slow-start-of-new-by-probes": "ramps"},
    needs={Feature.REGISTER, Feature.SLOW_START_OF_NEW},
    spec_link=ALB_SLOW_START,
    timed=lambda p: {"slow start": p.slow_start, **detection(p)},
    figures=lambda p: (in_the_first_third(joined_by_one(p)),),
    cost_s=5,
)
def test_a_registered_backend_ramps(stage: Stage, pool: StagedPool) -> None:
    """The ramp begins at its first request: when it is found well, or at once where nobody probes it."""
    full = joined_by_one(pool.spec)
    with stage.traffic(pool, rate=MARGIN * requests_to_see(full) / (pool.spec.slow_start / 3)):
        told = stage.now
        new = pool.register("new")
        if pool.spec.health_check is not None:
            wait_up(stage, pool, new)
        stage.wait(pool.spec.slow_start + stage.slack)

    arrivals = [a.at for a in stage.sync().arrivals if a.backend == new.name and a.id is not None]
    expect(ramps(stage.history, pool.spec, new.name, min(arrivals, default=told), full))
    expect_full_shares(stage, pool)


def least_rate(pool: Pool) -> float:
    """Requests a second at which the first backend's least share can be judged."""
    first = pool.backends[0].name
    n = requests_to_see_least(shares_of(weights_of(pool))[first])
    return MARGIN * n / (pool.slow_start * LEAST / 2)


@check(
    "ALG-35",
    "From the first moment of `slow_start` a backend has what a twentieth of its weight gives.",
    level=Level.EXTENDED,
    subject=pools(lambda p: ramping(p) and least_rate(p) <= FASTEST),
    catches={"slow-start-from-nothing": "begins_at_the_least"},
    needs={Feature.SLOW_START_LEAST},
    spec_link="https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start",
    timed=True,
    figures=lambda p: (of_least("begins_at_the_least", shares_of(weights_of(p))[p.backends[0].name]),),
    cost_s=3,
)
def test_a_ramp_begins_at_a_twentieth(stage: Stage, pool: StagedPool) -> None:
    back = pool.backends[0]
    full = shares_of(weights_of(pool.spec))[back.name]
    began = out_and_back(stage, pool, back, pool.spec.slow_start * LEAST, rate=least_rate(pool.spec))
    grace = grace_of(check_of(pool), stage.slack)
    expect(begins_at_the_least(stage.history, pool.spec, back.name, began, full, grace=grace))


def counted_ramp(pool: Pool) -> bool:
    plain = all(b.weight == 1 and not b.backup and b.state == "active" for b in pool.backends)
    fewest = pool.algorithm is Algorithm.LEAST_CONNECTIONS and pool.stickiness is None and not pool.max_connections
    checked = pool.health_check is not None and len(pool.backends) > 1
    return plain and fewest and checked and 0 < pool.slow_start <= LONGEST_S


@check(
    "ALG-36",
    "With least connections too a backend that returns is not flooded while it ramps, and gets its part afterwards.",
    level=Level.EXTENDED,
    subject=pools(counted_ramp),
    catches={
        "slow-start-skipped": "ramps",
        "slow-start-of-turns-alone": "ramps",
        "slow-start-never-ends": "all_answered",
    },
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-slowstart",
    timed=True,
    figures=lambda _: (in_the_first_third(NEARLY_ALL),),
    cost_s=6,
)
def test_slow_start_of_the_idlest(stage: Stage, pool: StagedPool) -> None:
    """One request stays at the backend, more at each of the others, so that it would get each later one at once.

    Some products send to whoever has none, whatever its weight: therefore it keeps one while it is out.
    """
    back = pool.backends[0]
    held = hold_unevenly(stage, pool, back)
    back.fail_probes()
    wait_out(stage, pool)
    lasting, rate = pool.spec.slow_start, MARGIN * requests_to_see(NEARLY_ALL) / (pool.spec.slow_start / 3)
    began = returns(stage, pool, back, lasting, rate=rate)
    afterwards = stage.send(pool, rounds=4)
    idle = any(pending.over for pending in held)
    for backend in pool.backends:
        backend.release([pending.id for pending in held])

    if idle:
        expect(inconclusive("ramps", "requests held while a backend is out", "an outage ends what is under way"))
    expect(ramps(stage.sync(), pool.spec, back.name, began, NEARLY_ALL, from_nothing=True))
    expect(all_answered(stage.history, afterwards, by=[back.name]))


def hold_unevenly(stage: Stage, pool: StagedPool, least: StagedBackend) -> list[Pending]:
    """One request held at `least`, and `BUSY` at each of the others; later ones are answered."""
    for backend in pool.backends:
        backend.hold()
    held = [stage.start(pool, within=3 * LONGEST_S) for _ in range(BUSY * len(pool.backends))]
    for pending in held:
        stage.wait_for(partial(has_arrived, pending), within=2.0)
    there = [p for p in held if any(a.backend == least.name for a in stage.history.arrivals_of(p.id))]
    for backend in pool.backends:
        backend.answer(Answer())
    least.release([pending.id for pending in there[1:]])
    for pending in there[1:]:
        pending.wait(within=2.0)
    return [pending for pending in held if pending not in there[1:]]
