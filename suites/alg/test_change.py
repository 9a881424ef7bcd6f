"""ALG: shares and maps after members and weights have changed."""

from __future__ import annotations

from dataclasses import replace

from lbcheck.checks import changes_losslessly, check, pools
from lbcheck.features import Feature, Level
from lbcheck.history import Exchange
from lbcheck.judges.balance import gets_nothing, keeps_weights, starves_nobody
from lbcheck.judges.hashing import map_of, moves_only, same_map
from lbcheck.lab.plays import keyed
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.change import with_pool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

KEYS = 210
CYCLES = 4
HEAVY, TAKEN = 100, (20, 50)  # a weight, and how many requests it is in force for: less than a cycle
RING = (
    "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers#ring-hash"
)
WEIGHTS = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html#weight"


def weighted(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    return plain and len(pool.backends) > 1 and pool.algorithm is Algorithm.WEIGHTED_ROUND_ROBIN


def rotating(pool: Pool) -> bool:
    """Turns among two at least, whatever their weights; some may be 0."""
    plain = all(not b.backup and b.state == "active" for b in pool.backends) and pool.stickiness is None
    turns = pool.algorithm in (Algorithm.ROUND_ROBIN, Algorithm.WEIGHTED_ROUND_ROBIN)
    return plain and turns and pool.backends[0].weight > 0 and sum(b.weight > 0 for b in pool.backends) > 1


def shape(pool: Pool) -> tuple[Algorithm, bool]:
    return pool.algorithm, any(b.weight == 0 for b in pool.backends)


def shares(pool: StagedPool) -> dict[str, int]:
    """In each cycle; plain round robin knows weight 0 alone."""
    plain = pool.spec.algorithm is Algorithm.ROUND_ROBIN
    return {b.name: min(b.weight, 1) if plain else b.weight for b in pool.spec.backends}


def hashed(pool: Pool) -> bool:
    equal = all(b.weight == 1 and not b.backup and b.state == "active" for b in pool.backends)
    return equal and len(pool.backends) > 2 and pool.algorithm is Algorithm.CONSISTENT_HASH


def cycles(stage: Stage, pool: StagedPool) -> list[Exchange]:
    return stage.send(pool, n=CYCLES * sum(b.weight for b in pool.spec.backends))


def cycles_of_all(stage: Stage, pool: StagedPool) -> list[Exchange]:
    """So many that each worker, whichever of them a connection meets, comes round."""
    return [exchange for _ in range(stage.spec.claims.workers) for exchange in cycles(stage, pool)]


def weights(pool: StagedPool) -> dict[str, int]:
    return {b.name: b.weight for b in pool.spec.backends}


def ask_all(stage: Stage, pool: StagedPool) -> dict[str, str]:
    return map_of((f"k{i}", stage.one(pool, **keyed(stage, pool, f"k{i}", i))) for i in range(KEYS))


@check(
    "ALG-21",
    "A weight that is changed at run time is in force from then on.",
    subject=pools(weighted, within=changes_losslessly),
    catches={"reweigh-ignored": "keeps_weights"},
    needs={Feature.REWEIGH},
    spec_link=WEIGHTS,
)
def test_a_new_weight_is_in_force(stage: Stage, pool: StagedPool) -> None:
    cycles(stage, pool)
    last = pool.backends[-1]
    last.reweigh(last.spec.weight + 4)

    expect(keeps_weights(cycles(stage, pool), weights(pool), workers=stage.spec.claims.workers))


@check(
    "ALG-22",
    "Weights that a reload changes are in force from then on.",
    subject=pools(weighted, within=changes_losslessly),
    catches={"reweigh-ignored": "keeps_weights"},
    needs={Feature.RELOAD},
    spec_link=WEIGHTS,
)
def test_reloaded_weights_are_in_force(stage: Stage, pool: StagedPool) -> None:
    cycles(stage, pool)
    *others, last = pool.spec.backends
    changed = replace(pool.spec, backends=(*others, replace(last, weight=last.weight + 4)))
    stage.reload(with_pool(stage.spec, changed))

    expect(keeps_weights(cycles(stage, pool), weights(pool), workers=stage.spec.claims.workers))


@check(
    "ALG-44",
    "A backend that was heavy and is made light owes nothing: it goes on getting its turns.",
    level=Level.EXTENDED,
    subject=pools(weighted, within=changes_losslessly),
    catches={"reweigh-keeps-credits": "starves_nobody"},
    needs={Feature.REWEIGH},
    spec_link=WEIGHTS,
)
def test_a_light_backend_owes_nothing(stage: Stage, pool: StagedPool) -> None:
    first = pool.backends[0]
    for taken in TAKEN:
        first.reweigh(HEAVY)
        stage.send(pool, n=taken)
        first.reweigh(1)
        expect(starves_nobody(cycles_of_all(stage, pool), list(weights(pool))))


@check(
    "ALG-45",
    "A backend that a reload makes light owes nothing: it goes on getting its turns.",
    level=Level.EXTENDED,
    subject=pools(weighted, within=changes_losslessly),
    catches={"reload-keeps-credits": "starves_nobody"},
    needs={Feature.RELOAD},
    spec_link=WEIGHTS,
)
def test_a_backend_that_a_reload_makes_light_owes_nothing(stage: Stage, pool: StagedPool) -> None:
    first, *others = pool.spec.backends

    def weigh(weight: int) -> None:
        changed = replace(pool.spec, backends=(replace(first, weight=weight), *others))
        stage.reload(with_pool(stage.spec, changed))

    for taken in TAKEN:
        weigh(HEAVY)
        stage.send(pool, n=taken)
        weigh(1)
        expect(starves_nobody(cycles_of_all(stage, pool), list(weights(pool))))


@check(
    "ALG-23",
    "A backend that was drained and returns has its full share again.",
    subject=pools(weighted, within=changes_losslessly),
    catches={"returned-weight-lost": "keeps_weights", "drain-ignored": "gets_nothing"},
    needs={Feature.DRAIN, Feature.REGISTER},
    spec_link=WEIGHTS,
)
def test_share_is_whole_after_drain_and_return(stage: Stage, pool: StagedPool) -> None:
    heaviest = max(pool.backends, key=lambda b: b.spec.weight)
    heaviest.drain()
    without = cycles(stage, pool)
    heaviest.register()

    expect(gets_nothing(without, [heaviest.name]))
    expect(keeps_weights(cycles(stage, pool), weights(pool), workers=stage.spec.claims.workers))


@check(
    "ALG-28",
    "A backend that is given weight 0 at run time gets nothing more, and one that has it no longer gets its share.",
    subject=pools(rotating, within=changes_losslessly, reads=shape),
    catches={"reweigh-keeps-members": "gets_nothing", "reweigh-ignored": "gets_nothing"},
    needs={Feature.REWEIGH},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#5.2-weight",
)
def test_weight_zero_takes_out_and_a_weight_brings_in(stage: Stage, pool: StagedPool) -> None:
    first = pool.backends[0]
    weight = first.spec.weight
    cycles(stage, pool)
    for idle in [b for b in pool.backends if b.spec.weight == 0]:
        idle.reweigh(1)
    expect(keeps_weights(cycles(stage, pool), shares(pool), workers=stage.spec.claims.workers))
    first.reweigh(0)
    expect(gets_nothing(cycles(stage, pool), [first.name]))
    first.reweigh(weight)
    expect(keeps_weights(cycles(stage, pool), shares(pool), workers=stage.spec.claims.workers))


@check(
    "ALG-24",
    "When a backend is deregistered only its own keys move, and when it is registered again they come back.",
    subject=pools(hashed, within=changes_losslessly),
    catches={"hash-modulo": "moves_only"},
    needs={Feature.REGISTER},
    spec_link=RING,
    cost_s=2,
)
def test_keys_move_and_come_back_with_their_backend(stage: Stage, pool: StagedPool) -> None:
    before = ask_all(stage, pool)
    gone = pool.backends[1]
    gone.deregister()
    without = ask_all(stage, pool)
    gone.register()

    expect(moves_only(before, without, gone.name))
    expect(same_map(before, ask_all(stage, pool)))


@check(
    "ALG-25",
    "The order in which backends are listed does not matter to a consistent hash.",
    level=Level.EXTENDED,
    subject=pools(hashed, within=changes_losslessly),
    catches={"hash-list-order": "same_map"},
    needs={Feature.RELOAD},
    spec_link=RING,
)
def test_the_order_of_the_list_moves_no_key(stage: Stage, pool: StagedPool) -> None:
    before = ask_all(stage, pool)
    turned = replace(pool.spec, backends=(*pool.spec.backends[1:], pool.spec.backends[0]))
    stage.reload(with_pool(stage.spec, turned))

    expect(same_map(before, ask_all(stage, pool)))
