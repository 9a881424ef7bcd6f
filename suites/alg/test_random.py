"""ALG: policies that draw. Exact tests with their n, alpha and smallest detected deviation."""

from __future__ import annotations

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.draws import enough, picks_are_independent, shares_fit
from lbcheck.judges.figures import of_picks, of_shares
from lbcheck.judges.sequential import PicksTest, SharesTest
from lbcheck.lab.plays import send_until
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

EFFECT = 0.15


def shares_of(pool: Pool) -> dict[str, float]:
    total = sum(b.weight for b in pool.backends)
    return {b.name: b.weight / total for b in pool.backends}


def drawn(pool: Pool) -> bool:
    return len(pool.backends) > 1 and pool.stickiness is None and all(b.weight > 0 for b in pool.backends)


@check(
    "ALG-13",
    "Random gives each backend its share, and no pick depends on the last.",
    level=Level.EXTENDED,
    subject=pools(drawn, algorithm=Algorithm.RANDOM, reads=lambda p: tuple(b.weight for b in p.backends)),
    catches={"random-is-a-rotation": "picks_are_independent", "random-weights-ignored": "shares_fit"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#random",
    figures=lambda p: (of_shares(shares_of(p), EFFECT), of_picks(shares_of(p))),
    cost_s=1,
)
def test_random_draws(stage: Stage, pool: StagedPool) -> None:
    shares = shares_of(pool.spec)
    tests = SharesTest(shares, EFFECT), PicksTest(shares)

    exchanges = send_until(stage, pool, lambda seen: enough(seen, *tests), most=max(test.most for test in tests))

    expect(shares_fit(exchanges, shares, EFFECT))
    expect(picks_are_independent(exchanges, shares))
