"""Which backends the balancer sends requests to: asked from outside, before a check's own history begins.

A balancer that outlives a check may still shun a backend that failed in it, by rules that no spec has told of. So
before a check all that were reached at the beginning have to be reached again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from lbcheck.client.http import Endpoint, HttpClient
from lbcheck.client.ids import Ids
from lbcheck.lab.placing import Ground
from lbcheck.lab.plays import source_address
from lbcheck.spec.model import Pool, Spec
from lbcheck.spec.request import Request
from lbcheck.spec.witness import route_to_pool

WITHIN_S = 2.0  # for one answer
PAUSE_S = 0.005  # a balancer that refuses at once is not to be flooded
Aim = tuple[Endpoint, Iterator[Request]]


def variants(pool: Pool, request: Request, *, abroad: bool) -> Iterator[Request]:
    """The same request again and again, from many clients and with many keys, so that a hash binds it to no backend."""
    kind, _, name = pool.hash_key.partition(":")
    for number in count(1):
        sent = request if abroad else replace(request, source=source_address(number))
        if kind == "header":
            sent = replace(sent, headers=(*sent.headers, (name, f"k{number}")))
        elif kind == "cookie":
            sent = replace(sent, headers=(*sent.headers, ("Cookie", f"{name}=k{number}")))
        elif kind == "query":
            sent = replace(sent, target=f"{sent.path}?{name}=k{number}")
        elif kind == "path":
            sent = replace(sent, target=f"{sent.path.rstrip('/')}/k{number}")
        yield sent


def aims(spec: Spec, ground: Ground) -> dict[str, Aim]:
    """Pool -> where its requests go. Pools that none can reach alone, or by its source, are left out."""
    found: dict[str, Aim] = {}
    for pool in spec.pools:
        reached = route_to_pool(spec, pool.name)
        if reached is None:
            continue
        listener = spec.listener(reached[0])
        if not any(rule.when.source for rule in listener.rules):
            found[pool.name] = ground.endpoint(listener), variants(pool, reached[1], abroad=ground.abroad)
    return found


async def reached(aim: Aim, wanted: Callable[[frozenset[str]], bool], until: Callable[[], bool]) -> frozenset[str]:
    """Who signed answers, asking until that is `wanted`, or `until` says that it has taken too long."""
    endpoint, requests = aim
    names: frozenset[str] = frozenset()
    client = HttpClient(lambda _: None, Ids("reach"))
    try:
        while not wanted(names) and not until():
            exchange = await client.send(endpoint, next(requests), within=WITHIN_S)
            names |= {exchange.backend} if exchange.backend and exchange.complete else set()
            await asyncio.sleep(PAUSE_S)
    finally:
        await client.close()
    return names
