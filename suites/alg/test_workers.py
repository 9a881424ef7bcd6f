"""ALG: rotations at the production worker count, where there may be one cursor in each worker."""

from __future__ import annotations

from typing import Any

from lbcheck.checks import check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.balance import keeps_weights, takes_turns
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Spec
from lbcheck.verdict import expect

ENVOY_THREADS = "https://www.envoyproxy.io/docs/envoy/v1.31.0/intro/arch_overview/intro/threading_model"
NGINX_ZONE = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html#zone"
CONNECTIONS_PER_WORKER = 2  # so that most workers meet one


def usable(pool: Pool) -> bool:
    plain = all(b.state == "active" and not b.backup and b.weight > 0 for b in pool.backends)
    return len(pool.backends) > 1 and plain and pool.stickiness is None


def equal(pool: Pool) -> bool:
    return usable(pool) and len({b.weight for b in pool.backends}) == 1


def several_workers(spec: Spec, _: Any) -> bool:
    return spec.claims.workers > 1


def by_connection(stage: Stage, pool: StagedPool, n: int) -> list[list[Exchange]]:
    """`n` requests on each of some kept connections, one connection after another: each is one worker's."""
    clients = [stage.client(keep_alive=True) for _ in range(CONNECTIONS_PER_WORKER * stage.spec.claims.workers)]
    return [[client.send(pool) for _ in range(n)] for client in clients]


@check(
    "ALG-40",
    "With several workers a connection's requests take turns, and all of them are no further apart than the cursors.",
    level=Level.EXTENDED,
    subject=pools(equal, algorithm=Algorithm.ROUND_ROBIN, within=several_workers),
    catches={"turn-skipped": "takes_turns", "round-robin-at-random": "takes_turns"},
    spec_link=ENVOY_THREADS,
)
def test_workers_take_turns(stage: Stage, pool: StagedPool) -> None:
    names = [b.name for b in pool.backends]

    connections = by_connection(stage, pool, 4 * len(names))

    for exchanges in connections:
        expect(takes_turns(exchanges, among=names))
    everything = [exchange for exchanges in connections for exchange in exchanges]
    expect(takes_turns(everything, among=names, workers=stage.spec.claims.workers))


@check(
    "ALG-41",
    "With several workers a connection's requests keep the weights, and so do all but for each worker's last cycle.",
    level=Level.EXTENDED,
    subject=pools(usable, algorithm=Algorithm.WEIGHTED_ROUND_ROBIN, within=several_workers),
    catches={"weights-ignored": "keeps_weights", "weights-rounded": "keeps_weights"},
    spec_link=NGINX_ZONE,
)
def test_workers_keep_weights(stage: Stage, pool: StagedPool) -> None:
    weights = {b.name: b.spec.weight for b in pool.backends}

    connections = by_connection(stage, pool, 3 * sum(weights.values()))

    for exchanges in connections:
        expect(keeps_weights(exchanges, weights))
    everything = [exchange for exchanges in connections for exchange in exchanges]
    expect(keeps_weights(everything, weights, workers=stage.spec.claims.workers))
