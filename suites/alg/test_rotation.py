"""ALG: rotations. A deterministic policy is judged exactly, by order and not by totals."""

from __future__ import annotations

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.judges.balance import gets_nothing, keeps_order, keeps_weights, takes_turns
from lbcheck.judges.delivery import allowed
from lbcheck.judges.health import refuses_all
from lbcheck.lab.plays import run_out, wait_ramp
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

HAPROXY_BALANCE = "https://docs.haproxy.org/2.6/configuration.html#4.2-balance"
NGINX_UPSTREAM = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html#upstream"


def rotates(pool: Pool) -> bool:
    """Usable backends of one weight, and no affinity that a client without cookies would have."""
    sticky_by_address = pool.stickiness is not None and pool.stickiness.type == "source_ip"
    plain = all(b.state == "active" and not b.backup and b.weight > 0 for b in pool.backends)
    return len(pool.backends) > 1 and plain and not sticky_by_address


def equal(pool: Pool) -> bool:
    return rotates(pool) and len({b.weight for b in pool.backends}) == 1


def weights_of(pool: Pool) -> dict[str, int]:
    return {b.name: b.weight for b in pool.backends if b.state == "active" and not b.backup}


def shared(pool: Pool) -> bool:
    return len(pool.backends) > 1 and any(b.weight for b in pool.backends) and pool.stickiness is None


def steady(pool: Pool) -> bool:
    """Shared, and nobody ramps whenever a probe is missed: ALG-17 and ALG-19 judge those who do."""
    return shared(pool) and not (pool.slow_start and pool.health_check)


@check(
    "ALG-01",
    "Round robin gives every healthy backend its turn.",
    subject=pools(equal, algorithm=Algorithm.ROUND_ROBIN),
    catches={"turn-skipped": "takes_turns", "round-robin-at-random": "takes_turns"},
    spec_link=HAPROXY_BALANCE,
)
def test_round_robin_takes_turns(stage: Stage, pool: StagedPool) -> None:
    exchanges = stage.send(pool, rounds=10)
    expect(takes_turns(exchanges, among=weights_of(pool.spec), workers=stage.spec.claims.workers))


@check(
    "ALG-02",
    "Weighted round robin gives each backend exactly its weight in every cycle.",
    subject=pools(
        steady, algorithm=Algorithm.WEIGHTED_ROUND_ROBIN, reads=lambda p: tuple(b.weight for b in p.backends)
    ),
    catches={"weights-ignored": "keeps_weights", "weights-rounded": "keeps_weights"},
    spec_link=NGINX_UPSTREAM,
)
def test_weighted_round_robin_keeps_weights(stage: Stage, pool: StagedPool) -> None:
    weights = weights_of(pool.spec)
    wait_ramp(stage, pool)
    run_out(stage, pool)

    exchanges = stage.send(pool, n=4 * sum(weights.values()))

    expect(keeps_weights(exchanges, weights, workers=stage.spec.claims.workers))


@check(
    "ALG-03",
    "Weighted round robin interleaves or bursts, as its order says.",
    level=Level.EXTENDED,
    subject=pools(
        lambda p: steady(p) and p.order != "any",
        algorithm=Algorithm.WEIGHTED_ROUND_ROBIN,
        reads=lambda p: p.order,
    ),
    catches={"order-burst-for-smooth": "keeps_order", "order-smooth-for-burst": "keeps_order"},
    spec_link="https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1",
)
def test_weighted_round_robin_keeps_its_order(stage: Stage, pool: StagedPool) -> None:
    weights = weights_of(pool.spec)
    n, workers = 4 * sum(weights.values()), stage.spec.claims.workers
    wait_ramp(stage, pool)
    run_out(stage, pool)
    if workers > 1:
        client = stage.client(keep_alive=True)  # one connection meets one worker, which keeps an order of its own
        exchanges = [client.send(pool) for _ in range(n)]
    else:
        exchanges = stage.send(pool, n=n)
    expect(keeps_order(exchanges, weights, pool.spec.order, workers=workers))


@check(
    "ALG-04",
    "A backend of weight 0 gets no request.",
    subject=pools(lambda p: shared(p) and any(b.weight == 0 for b in p.backends)),
    catches={"weight-zero-served": "gets_nothing"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-weight",
)
def test_weight_zero_gets_nothing(stage: Stage, pool: StagedPool) -> None:
    exchanges = stage.send(pool, rounds=10)
    expect(gets_nothing(exchanges, [b.name for b in pool.spec.backends if b.weight == 0]))


@check(
    "ALG-05",
    "A pool whose weights are all 0 answers with an honest error.",
    subject=pools(lambda p: all(b.weight == 0 for b in p.backends)),
    catches={"all-zero-served": "refuses_all"},
    spec_link="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
)
def test_all_weights_zero_is_refused(stage: Stage, pool: StagedPool) -> None:
    exchanges = stage.send(pool, n=5)
    expect(refuses_all(exchanges, allowed(pool.spec.statuses.none_usable)))
