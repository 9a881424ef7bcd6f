"""ALG: hashes, judged by their map from keys to backends."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

from lbcheck.checks import Figure, check, pools
from lbcheck.features import Level
from lbcheck.history import Exchange
from lbcheck.judges.figures import of_silence, of_weights
from lbcheck.judges.hashing import map_of, moves_only, same_key_same_backend, same_map, spreads, spreads_by_weight
from lbcheck.lab.plays import keyed, source_address, wait_in, wait_out
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool, Spec
from lbcheck.verdict import expect

KEYS = 210
FEW = 20  # of them once more, behind addresses that were made up
MANY = 420
LOOPBACK = IPv4Network("127.0.0.0/8")
RING = (
    "https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers#ring-hash"
)


def usable(pool: Pool) -> bool:
    return len([b for b in pool.backends if b.weight > 0 and not b.backup and b.state == "active"]) > 1


def by_source(pool: Pool) -> bool:
    consistent = pool.algorithm is Algorithm.CONSISTENT_HASH and pool.hash_key == "source_ip"
    return usable(pool) and (pool.algorithm is Algorithm.SOURCE_IP_HASH or consistent)


def trusts_loopback(spec: Spec) -> bool:
    """Does every listener believe X-Forwarded-For of any client on loopback?"""
    trusted = [[ip_network(t) for t in x.forwarded.trust] if x.forwarded else [] for x in spec.listeners]
    return all(any(isinstance(t, IPv4Network) and LOOPBACK.subnet_of(t) for t in networks) for networks in trusted)


def shares_of(pool: Pool) -> dict[str, float]:
    total = sum(b.weight for b in pool.backends)
    return {b.name: b.weight / total for b in pool.backends}


def unevenly_hashed(pool: Pool) -> bool:
    plain = all(b.weight > 0 and not b.backup and b.state == "active" for b in pool.backends)
    hashed = pool.algorithm in (Algorithm.SOURCE_IP_HASH, Algorithm.CONSISTENT_HASH)
    return plain and hashed and max(weights_of(pool).values()) > len(pool.backends) - 2 > 1


def weights_of(pool: Pool) -> dict[str, int]:
    return {b.name: b.weight for b in pool.backends}


def spread(pool: Pool) -> tuple[Figure, ...]:
    """As `spreads` judges: a ring may give a backend as little as a third of its share."""
    thirds = {name: share / 3 for name, share in shares_of(pool).items()}
    return (of_silence("spreads", KEYS, thirds, "a backend that no key reaches"),)


def ask_all(stage: Stage, pool: StagedPool, keys: int = KEYS) -> list[tuple[str, Exchange]]:
    """One request for each key."""
    return [(f"k{i}", stage.one(pool, **keyed(stage, pool, f"k{i}", i))) for i in range(keys)]


@check(
    "ALG-09",
    "A client's address always reaches the same backend, and addresses spread over all backends.",
    subject=pools(by_source),
    catches={"source-port-hashed": "same_key_same_backend", "hash-first-octet": "spreads"},
    spec_link="https://docs.haproxy.org/2.6/configuration.html#4.2-balance",
    figures=spread,
)
def test_source_hash_keeps_its_map(stage: Stage, pool: StagedPool) -> None:
    rounds = [(source_address(i), stage.one(pool, source=source_address(i))) for _ in range(2) for i in range(KEYS)]

    expect(same_key_same_backend(rounds))
    expect(spreads(map_of(rounds), shares_of(pool.spec)))


@check(
    "ALG-10",
    "The address that is hashed is the peer's, not one that the client made up.",
    level=Level.EXTENDED,
    subject=pools(by_source, within=lambda spec, _: not trusts_loopback(spec)),
    catches={"spoofed-address-hashed": "same_key_same_backend"},
    spec_link="https://www.rfc-editor.org/rfc/rfc7239#section-8.1",
)
def test_spoofed_address_is_not_hashed(stage: Stage, pool: StagedPool) -> None:
    spoofed = [("one peer", stage.one(pool, headers=[("X-Forwarded-For", f"198.51.100.{i}")])) for i in range(40)]
    expect(same_key_same_backend(spoofed))


@check(
    "ALG-20",
    "Behind a trusted peer the address that it names in X-Forwarded-For is hashed, not the peer's own.",
    level=Level.EXTENDED,
    subject=pools(by_source, within=lambda spec, _: trusts_loopback(spec)),
    catches={"trusted-forwarded-ignored": "spreads", "trusted-first-address": "same_key_same_backend"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_realip_module.html",
    figures=spread,
)
def test_trusted_address_is_hashed(stage: Stage, pool: StagedPool) -> None:
    """All requests come from one trusted peer, each with another address in X-Forwarded-For: these make the map.

    The last of several is what the trusted peer has seen; those before it anybody may have made up.
    """
    named = [f"198.51.{i % 100}.{1 + i // 100}" for i in range(KEYS)]
    rounds = [(who, stage.one(pool, headers=[("X-Forwarded-For", who)])) for _ in range(2) for who in named]
    for number, who in enumerate(named[:FEW]):
        made_up = f"203.0.113.{1 + number}"
        lines = [("X-Forwarded-For", made_up), ("X-Forwarded-For", who)]
        rounds.append((who, stage.one(pool, headers=[("X-Forwarded-For", f"{made_up}, {who}")])))
        rounds.append((who, stage.one(pool, headers=lines)))

    expect(same_key_same_backend(rounds))
    expect(spreads(map_of(rounds), shares_of(pool.spec)))


@check(
    "ALG-11",
    "A consistent hash sends the same key to the same backend, and keys spread over all backends.",
    subject=pools(usable, algorithm=Algorithm.CONSISTENT_HASH, reads=lambda p: p.hash_key),
    catches={"hash-key-ignored": "spreads"},
    spec_link=RING,
    figures=spread,
)
def test_consistent_hash_keeps_its_map(stage: Stage, pool: StagedPool) -> None:
    rounds = ask_all(stage, pool) + ask_all(stage, pool)

    expect(same_key_same_backend(rounds))
    expect(spreads(map_of(rounds), shares_of(pool.spec)))


@check(
    "ALG-27",
    "A hash gives a backend of more weight more of the keys, as many as its weight says.",
    level=Level.EXTENDED,
    subject=pools(unevenly_hashed, reads=lambda p: p.algorithm),
    catches={"hash-weights-linear": "spreads_by_weight", "hash-weights-ignored": "spreads_by_weight"},
    spec_link="https://nginx.org/en/docs/http/ngx_http_upstream_module.html#hash",
    figures=lambda p: (of_weights("spreads_by_weight", MANY, weights_of(p)),),
    cost_s=1,
)
def test_hash_keeps_weights(stage: Stage, pool: StagedPool) -> None:
    by_address = pool.spec.algorithm is Algorithm.SOURCE_IP_HASH
    places = (source_address(i) for i in range(MANY))
    rounds = [(a, stage.one(pool, source=a)) for a in places] if by_address else ask_all(stage, pool, MANY)
    expect(spreads_by_weight(map_of(rounds), weights_of(pool.spec)))


@check(
    "ALG-12",
    "When a backend goes only its own keys move, and when it returns they come back.",
    subject=pools(
        lambda p: usable(p) and len(p.backends) > 2 and p.health_check is not None, algorithm=Algorithm.CONSISTENT_HASH
    ),
    catches={"hash-modulo": "moves_only", "hash-remembers-the-dead": "same_map"},
    spec_link=RING,
    timed=True,
    cost_s=4,
)
def test_consistent_hash_moves_little_and_comes_back(stage: Stage, pool: StagedPool) -> None:
    before = map_of(ask_all(stage, pool))
    gone = pool[before["k0"]]

    gone.kill()
    wait_out(stage, pool)
    without = map_of(ask_all(stage, pool))
    gone.restart()
    wait_in(stage, pool, gone)
    again = map_of(ask_all(stage, pool))

    expect(moves_only(before, without, gone.name))
    expect(same_map(before, again))
