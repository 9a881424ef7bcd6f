"""ALG: slow start, judged by what the claim says alone: less at first, all of it at the end, never nothing."""

from __future__ import annotations

import math

from lbcheck.checks import Figure, check, pools
from lbcheck.features import Level
from lbcheck.judges.balance import keeps_weights
from lbcheck.judges.figures import of_less
from lbcheck.judges.health import results_of
from lbcheck.judges.ramping import ramps, requests_to_see, share_at
from lbcheck.lab.plays import check_of, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

LONGEST_S = 30.0
MARGIN = (
    1.5  # requests for each that the judgement needs: a product that is late with a weight gets its share of others
)


def ramping(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    turns = pool.algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN) and pool.stickiness is None
    checked = pool.health_check is not None and len(pool.backends) > 1
    return plain and turns and checked and 0 < pool.slow_start <= LONGEST_S


def full_share(pool: Pool) -> float:
    """Of the backend that returns, which is the first."""
    equal = pool.algorithm is Algorithm.ROUND_ROBIN
    weights = [1 if equal else b.weight for b in pool.backends]
    return weights[0] / sum(weights)


def in_the_first_third(pool: Pool) -> tuple[Figure, ...]:
    full = full_share(pool)
    n = math.ceil(MARGIN * requests_to_see(full))
    return (of_less("ramps", n, full, share_at(full, 1 / 6), "a full share at once"),)


@check(
    "ALG-19",
    "A backend that returns has less than its share at first, never nothing, and all of it once `slow_start` is over.",
    level=Level.EXTENDED,
    subject=pools(ramping),
    catches={"slow-start-skipped": "ramps", "slow-start-never-ends": "keeps_weights"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-slowstart",
    timed=True,
    figures=in_the_first_third,
    cost_s=6,
)
def test_slow_start_ramps(stage: Stage, pool: StagedPool) -> None:
    """A backend returns under traffic; its share of the first third is tested against the full one, then its turns."""
    back, check = pool.backends[0], check_of(pool)
    equal = pool.spec.algorithm is Algorithm.ROUND_ROBIN
    weights = {b.name: 1 if equal else b.spec.weight for b in pool.backends}
    full = full_share(pool.spec)
    back.fail_probes()
    wait_out(stage, pool)
    since = stage.now
    back.pass_probes()
    with stage.traffic(pool, rate=MARGIN * requests_to_see(full) / (pool.spec.slow_start / 3)):
        wait_in(stage, pool, back)
        stage.wait(pool.spec.slow_start + stage.slack)

    good = [p for p in results_of(stage.sync(), back.name, check, since=since) if p.passed]
    began = good[check.healthy_threshold - 1].ended if len(good) >= check.healthy_threshold else stage.now
    expect(ramps(stage.history, pool.spec, back.name, began, full))
    again = stage.send(pool, n=4 * sum(weights.values()))
    expect(keeps_weights(again, weights, workers=stage.spec.claims.workers))
