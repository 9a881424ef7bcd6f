"""ALG: what of a request is hashed: the key that is declared, all of it, and nothing else."""

from __future__ import annotations

from typing import Any

from lbcheck.checks import check, pools
from lbcheck.judges.hashing import same_key_same_backend
from lbcheck.lab.plays import source_address
from lbcheck.lab.stage import Stage, StagedPool
from lbcheck.spec.model import Algorithm, Pool
from lbcheck.verdict import expect

KEYS, VARIANTS = 12, 6
HAPROXY_BALANCE = "https://docs.haproxy.org/2.6/configuration.html#4.2-balance"


def usable(pool: Pool) -> bool:
    return len([b for b in pool.backends if b.weight > 0 and not b.backup and b.state == "active"]) > 1


def around(stage: Stage, pool: StagedPool, key: str, number: int) -> dict[str, Any]:
    """A request with this key, and all else drawn: other parameters, cookies and fields around it, another client."""
    draw, (listener, base) = stage.rng, stage.to(pool)
    kind, _, name = pool.spec.hash_key.partition(":")
    noise = f"n{draw.randrange(1000)}"
    query, cookies = [f"noise={noise}", f"x{name}={noise}"], [f"noise={noise}", f"x{name}={noise}"]
    headers = [("X-Noise", noise), (f"{name}-Noise" if kind == "header" else "X-More", noise)]
    path = base.path
    if kind == "header":
        headers.append((draw.choice((name, name.lower(), name.upper())), key))
    elif kind == "cookie":
        cookies.append(f"{name}={key}")
    elif kind == "query":
        query.append(f"{name}={key}")
    elif kind == "path":
        path = f"{path.rstrip('/')}/{key}"
    for parts in (query, cookies, headers):
        draw.shuffle(parts)
    headers.append(("Cookie", "; ".join(cookies)))
    request: dict[str, Any] = {"target": f"{path}?{'&'.join(query)}", "headers": headers}
    if kind == "source_ip":
        request["source"] = source_address(number)
    elif not any(rule.when.source for rule in stage.spec.listener(listener).rules):
        request["source"] = source_address(draw.randrange(1000))
    return request


@check(
    "ALG-30",
    "Only the key is hashed: whatever else differs between two requests, one key is at one backend.",
    subject=pools(usable, algorithm=Algorithm.CONSISTENT_HASH, reads=lambda p: p.hash_key),
    catches={
        "hash-path-with-query": "same_key_same_backend",
        "hash-whole-cookie-field": "same_key_same_backend",
        "hash-whole-query": "same_key_same_backend",
        "hash-header-name-case-sensitive": "same_key_same_backend",
    },
    spec_link=HAPROXY_BALANCE,
)
def test_only_the_key_is_hashed(stage: Stage, pool: StagedPool) -> None:
    numbers = [i for i in range(KEYS) for _ in range(VARIANTS)]
    rounds = [(f"k{i}", stage.one(pool, **around(stage, pool, f"k{i}", i))) for i in numbers]
    expect(same_key_same_backend(rounds))
